"""Enqueue and follow: every answer of the contract."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.api.conftest import Api
from tests.conftest import ValkeyServer
from tests.parts import Ping, take
from yellowbooks.api.jobs import _answer
from yellowbooks.jobs import Event, Job, Kind, Queue, State
from yellowbooks.jobs.outcome import Completed, Retry

PATH = "/api/jobs/signin-notification"
EVENT = {"userId": "u1", "email": "bat@example.com", "name": "Бат", "provider": "github", "ipAddress": "192.0.2.1"}


async def post(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post(PATH, json=EVENT | fields)


def assert_problem(reply: httpx.Response, status: int) -> dict[str, Any]:
    body: dict[str, Any] = reply.json()
    assert reply.status_code == status
    assert reply.headers["content-type"].startswith("application/problem+json")
    assert body["title"]
    assert body["detail"] == body["error"]
    return body


async def test_202_and_where_to_follow(client: httpx.AsyncClient) -> None:
    reply = await post(client)
    body = reply.json()
    assert (reply.status_code, body["status"]) == (202, "enqueued")
    assert reply.headers["location"] == f"/api/jobs/{body['jobId']}"
    assert set(body) == {"jobId", "status"}
    job = (await client.get(reply.headers["location"])).json()
    assert job["jobId"] == body["jobId"]


async def test_a_job_is_followed_through_its_life(client: httpx.AsyncClient, queue: Queue) -> None:
    await post(client, jobId="a")
    job = (await client.get("/api/jobs/a")).json()
    assert (job["type"], job["status"], job["attempts"], job["maxAttempts"]) == (
        "signin-notification",
        "enqueued",
        0,
        5,
    )
    assert job["createdAt"].endswith("Z")
    assert (job["startedAt"], job["processedAt"], job["nextAttemptAt"], job["error"]) == (None, None, None, None)
    [lease] = await take(queue, "signin-notification")
    assert (await client.get("/api/jobs/a")).json()["status"] == "processing"
    await queue.settle(lease, Retry(0.05, "SMTP is away"))
    job = (await client.get("/api/jobs/a")).json()
    assert (job["status"], job["attempts"], job["error"]) == ("retrying", 1, "SMTP is away")
    assert job["nextAttemptAt"] is not None
    await asyncio.sleep(0.06)
    [lease] = await take(queue, "signin-notification")
    await queue.settle(lease, Completed())
    job = (await client.get("/api/jobs/a")).json()
    assert (job["status"], job["attempts"], job["error"], job["nextAttemptAt"]) == ("completed", 2, None, None)
    assert job["processedAt"] is not None
    names = [event["event"] for event in job["history"]]
    assert names == ["admitted", "claimed", "retried", "promoted", "claimed", "completed"]


async def test_404(client: httpx.AsyncClient) -> None:
    assert "no job has the id nobody" in assert_problem(await client.get("/api/jobs/nobody"), 404)["detail"]
    assert "/schema" in assert_problem(await client.get("/nowhere"), 404)["detail"]


async def test_405(client: httpx.AsyncClient) -> None:
    assert_problem(await client.put("/api/jobs/x"), 405)


async def test_409_for_the_same_and_for_another_request(client: httpx.AsyncClient) -> None:
    await post(client, jobId="a")
    same = assert_problem(await post(client, jobId="a"), 409)
    other = assert_problem(await post(client, jobId="a", name="Дорж"), 409)
    assert (same["jobId"], same["status"], same["sameRequest"]) == ("a", "enqueued", True)
    assert other["sameRequest"] is False


async def test_409_after_the_job_was_forgotten(
    client: httpx.AsyncClient, api: Api, queue: Queue, valkey: ValkeyServer
) -> None:
    await post(client, jobId="a")
    [lease] = await take(queue, "signin-notification")
    await queue.settle(lease, Completed())
    forgetful = Queue(valkey.url, name=queue.tag[4:-3], retention=0)
    await asyncio.sleep(0.01)
    assert await forgetful.recorded((await queue.read(1))[-1].position) == 1
    await forgetful.close()
    api.log.jobs["a"] = Job(
        id="a", kind="signin-notification", state=State.CANCELLED, attempts=0, max_attempts=5, crashes=0, generation=1,
        created=0, started=None, ended=1, due=None, history=(Event(job="a", name="admitted", at=0, kind="x", state="enqueued"),),
    )  # fmt: skip
    assert assert_problem(await post(client, jobId="a"), 409)["status"] == "cancelled"
    assert (await client.get("/api/jobs/a")).json()["status"] == "cancelled"
    api.log.away = True
    assert_problem(await post(client, jobId="a"), 503)
    assert_problem(await client.get("/api/jobs/a"), 503)


async def test_429_with_retry_after(client: httpx.AsyncClient) -> None:
    for _ in range(10):
        assert (await post(client)).status_code == 202
    reply = await post(client)
    body = assert_problem(reply, 429)
    assert 3500 < int(reply.headers["retry-after"]) == body["retryAfter"] <= 3600
    assert (await post(client, userId="u2")).status_code == 202


BODIES: list[bytes] = [
    b"", b"{", b"not json", b"[]", b"null", b"1", b'"x"', b"\xff\xfe\x00", b'{"userId":"\xff"}', b'{"userId":"\\ud800"}',
    b"[" * 30_000, b'{"a":' * 10_000, b"{}", b"NaN", b'{"userId":1}', b'{"userId":"u","email":"x","provider":"g"}',
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES)
async def test_400_names_the_field_and_stores_nothing(client: httpx.AsyncClient, queue: Queue, body: bytes) -> None:
    reply = await client.post(PATH, content=body, headers={"content-type": "application/json"})
    problem = assert_problem(reply, 400)
    assert problem["errors"]
    assert all(error["field"] and error["why"] for error in problem["errors"])
    assert await take(queue, "signin-notification") == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_400_for_what_a_foreign_page_could_send(client: httpx.AsyncClient, content_type: str) -> None:
    reply = await client.post(PATH, content=json.dumps(EVENT), headers={"content-type": content_type})
    assert_problem(reply, 400)


async def test_every_faulty_field_is_named_at_once(client: httpx.AsyncClient) -> None:
    problem = assert_problem(await post(client, email="x", ipAddress="y", timeZone="z"), 400)
    assert [error["field"] for error in problem["errors"]] == ["email", "ipAddress", "timeZone"]


@pytest.mark.parametrize("size", [65_537, 1_000_000])
async def test_413(client: httpx.AsyncClient, size: int) -> None:
    body = json.dumps(EVENT | {"name": "x" * size})
    assert_problem(await client.post(PATH, content=body, headers={"content-type": "application/json"}), 413)


async def test_413_without_a_length(client: httpx.AsyncClient) -> None:
    async def chunks():
        for _ in range(100):
            yield b"x" * 1000

    assert_problem(await client.post(PATH, content=chunks(), headers={"content-type": "application/json"}), 413)


async def test_503_where_the_queue_is_away(api: Api) -> None:
    away = Queue("unix:///nowhere/valkey.sock")
    async with api.client(queue=away) as client:
        reply = await post(client)
        assert_problem(reply, 503)
        assert int(reply.headers["retry-after"]) > 0
        assert_problem(await client.get("/api/jobs/a"), 503)
        assert_problem(await client.get("/readyz"), 503)
        assert (await client.get("/healthz")).status_code == 200


async def test_a_server_that_evicts_is_not_ready(api: Api, own_valkey: ValkeyServer) -> None:
    queue = Queue(own_valkey.url)
    async with api.client(queue=queue) as client:
        assert (await client.get("/readyz")).status_code == 200
        own_valkey.client().config_set("maxmemory-policy", "allkeys-lru")
        problem = assert_problem(await client.get("/readyz"), 503)
        assert "set maxmemory-policy noeviction" in problem["detail"]
    await queue.close()


async def test_a_job_is_shown_from_the_log_while_the_queue_is_away(api: Api) -> None:
    api.log.jobs["a"] = Job(
        id="a", kind="ping", state=State.COMPLETED, attempts=1, max_attempts=5, crashes=0, generation=1, created=0,
        started=1, ended=2, due=None, history=(),
    )  # fmt: skip
    async with api.client(queue=Queue("unix:///nowhere/valkey.sock")) as client:
        assert (await client.get("/api/jobs/a")).json()["status"] == "completed"


async def test_500_tells_the_operator_and_not_the_caller(api: Api) -> None:
    async def broken(_job_id: str) -> None:
        raise RuntimeError("secret inside")

    async with api.client(find=broken) as client:
        reply = await client.get("/api/jobs/a")
    assert "secret" not in json.dumps(assert_problem(reply, 500))
    assert api.told.lines[0][0] == "failed"
    told = api.told.lines[0][1]
    assert told["error"] == "RuntimeError"  # its words may hold what the caller sent
    assert "in broken" in told["trace"]


async def test_health(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json() == {"status": "ok"}


async def test_another_kind_has_its_post_without_touching_the_api(client: httpx.AsyncClient, queue: Queue) -> None:
    reply = await client.post("/api/jobs/ping", json={"user": "x", "jobId": "p"})
    assert reply.status_code == 202
    assert [lease.job_id for lease in await take(queue)] == ["p"]
    assert_problem(await client.post("/api/jobs/ping", json={"usr": "x"}), 400)


async def test_the_schema_describes_the_payloads(client: httpx.AsyncClient) -> None:
    document = (await client.get("/schema")).json()
    assert document["openapi"].startswith("3.1")
    paths = {
        PATH, "/api/jobs/ping", "/api/jobs/{job_id}", "/api/admin/dlq", "/api/admin/dlq/retry", "/api/admin/dlq/discard",
        "/api/admin/dlq/{job_id}/retry", "/api/admin/dlq/{job_id}", "/api/admin/dlq/causes", "/healthz", "/readyz",
        "/api/admin/bounces",
    }  # fmt: skip
    assert set(document["paths"]) == paths
    sign_in = document["components"]["schemas"]["SignIn"]
    assert sorted(sign_in["required"]) == ["email", "provider", "userId"]
    assert set(sign_in["properties"]) == {
        "userId", "email", "provider", "name", "ipAddress", "userAgent", "jobId", "timestamp", "locale", "timeZone",
    }  # fmt: skip
    operation = document["paths"][PATH]["post"]
    assert {"202", "400", "409", "413", "429", "503"} <= set(operation["responses"])
    for reference in set(__import__("re").findall(r'"#/components/schemas/(\w+)"', json.dumps(document))):
        assert reference in document["components"]["schemas"]


KEYS = {"api_keys": ("caller-key-0123456789",), "admin_keys": ("admin-key-0123456789",)}


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer ", "Basic !!!", "Bearer caller-key-012345678"])
async def test_401_without_a_right_key(api: Api, header: str | None) -> None:
    headers = {"authorization": header} if header else {}
    async with api.client(**KEYS) as client:
        for method, path in [("POST", PATH), ("GET", "/api/jobs/a"), ("GET", "/api/admin/dlq"), ("GET", "/inbox")]:
            assert_problem(await client.request(method, path, headers=headers), 401)
        assert (await client.get("/healthz")).status_code == 200


async def test_a_callers_key_is_no_operators_key(api: Api) -> None:
    async with api.client(**KEYS) as client:
        caller = {"authorization": "Bearer caller-key-0123456789"}
        admin = {"authorization": "Bearer admin-key-0123456789"}
        assert (await client.post(PATH, json=EVENT, headers=caller)).status_code == 202
        assert (await client.get("/api/admin/dlq", headers=caller)).status_code == 403
        assert (await client.get("/api/admin/dlq", headers=admin)).status_code == 200
        assert (await client.get("/inbox", auth=("operator", "admin-key-0123456789"))).status_code == 200


async def test_409_names_the_job_that_holds_a_unique_window(queue: Queue, api: Api) -> None:
    kind = Kind("once", Ping, unique=60.0)
    first, _ = await queue.admit(kind, Ping(user="bat"))
    job_id, receipt = await queue.admit(kind, Ping(user="bat"))
    answer = await _answer(job_id, receipt, api.log.find)
    assert (answer.status_code, answer.headers["Location"]) == (409, f"/api/jobs/{first}")
