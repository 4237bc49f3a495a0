"""Lists, the search and a job's page, over a real queue, a recorder and both databases."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import ValkeyServer
from tests.operators.conftest import Desk
from tests.parts import Ping, Told, eventually, put, take
from yellowbooks.jobs import Kind, Lease, Queue
from yellowbooks.jobs.attempt import Runner
from yellowbooks.jobs.outcome import Dead
from yellowbooks.settings import load
from yellowbooks.signin.summary import Summary
from yellowbooks.wiring import open_inbox, worker_kinds

JOBS, SEARCH = "/api/admin/jobs", "/api/admin/search"
CANARY = "bat.canary@example.mn"
EVENT = {"userId": "user-canary-1", "email": CANARY, "name": "Бат Канар", "provider": "github",
         "ipAddress": "198.51.100.77", "userAgent": "canary-agent"}  # fmt: skip


async def post(client: httpx.AsyncClient, **more: Any) -> httpx.Response:
    headers = {"X-Request-Id": more.pop("request")} if "request" in more else {}
    return await client.post("/api/jobs/signin-notification", json=EVENT | more, headers=headers)


async def run(desk: Desk, lease: Lease) -> None:
    """One attempt of the real handler, into the inbox."""
    kind = desk.kinds[lease.kind]
    await desk.queue.settle(lease, await Runner(desk.working(kind))(lease))


async def logged(desk: Desk, job_id: str, status: str) -> None:
    async def there() -> bool:
        row = await desk.log.ask(lambda log: log.row(job_id))
        return bool(row and row.status == status)

    await eventually(there, 20)


@pytest.fixture
async def recorded(queue: Queue, tmp_path: Path, database_url: str) -> AsyncIterator[Desk]:
    desk = Desk(queue, tmp_path, database_url)
    async with desk.recording():
        yield desk
    desk.job_log.close()


@pytest.fixture
async def client(recorded: Desk) -> AsyncIterator[httpx.AsyncClient]:
    async with recorded.client() as client:
        yield client


async def test_did_this_person_get_the_mail(recorded: Desk, client: httpx.AsyncClient, queue: Queue) -> None:
    reply = await post(client, request="web-42/7")
    job_id = reply.json()["jobId"]
    assert (reply.status_code, reply.headers["X-Request-Id"]) == (202, "web-42/7")
    [lease] = await take(queue, "signin-notification")
    await run(recorded, lease)
    await logged(recorded, job_id, "completed")
    page = (await client.get(f"{JOBS}/{job_id}")).json()
    assert [step["event"] for step in page["timeline"]] == ["received", "admitted", "claimed", "replied", "completed"]
    assert page["timeline"][0]["detail"] == "web-42/7"
    assert page["timeline"][2]["worker"] == queue.id
    assert page["mail"]["reply"].startswith("kept as ")
    assert "Таны бүртгэлд нэвтэрсэн байна" in page["mail"]["subject"]
    assert (page["payload"], page["trouble"]) == (None, [])
    for by, q in {
        "jobId": job_id, "requestId": "web-42/7", "userId": "user-canary-1", "email": " Bat.Canary@EXAMPLE.mn ",
        "messageId": page["mail"]["messageId"],
    }.items():  # fmt: skip
        found = (await client.get(SEARCH, params={"q": q})).json()
        assert (found["by"], [row["jobId"] for row in found["jobs"]]) == (by, [job_id]), by
    row = found["jobs"][0]
    assert (row["status"], row["requestId"], row["userId"], row["type"]) == (
        "completed", "web-42/7", None, "signin-notification",
    )  # fmt: skip
    assert row["userRef"]
    nothing = (await client.get(SEARCH, params={"q": "nobody@example.mn"})).json()
    assert (nothing["by"], nothing["jobs"]) == (None, [])


async def test_no_personal_data_beside_the_payload(recorded: Desk, client: httpx.AsyncClient, queue: Queue) -> None:
    job_id = (await post(client)).json()["jobId"]
    events = await queue.read(1)
    await logged(recorded, job_id, "enqueued")
    page = (await client.get(f"{JOBS}/{job_id}")).text
    rows = (await client.get(JOBS)).text
    with recorded.job_log._engine.connect() as connection:
        tables = "".join(
            str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
            for table in ("job_log", "job_key", "job_minute", "operator_act")
        )
    for secret in ("canary", "Канар", "198.51.100.77"):
        assert secret not in str(events) + page + rows + tables, secret
    shown = (await client.get(f"{JOBS}/{job_id}")).json()
    assert shown["payload"]["email"] == "b***@example.mn"
    assert shown["payload"]["provider"] == "github"
    assert shown["userId"] == shown["payload"]["userId"] == "us***"
    assert shown["payload"]["name"] == shown["payload"]["ipAddress"] == "•••"
    assert "No worker that runs now knows the kind" in shown["explain"]
    assert shown["mail"]["messageId"].endswith("@localhost>")


async def test_a_kind_that_does_not_say_what_is_personal_shows_nothing(
    recorded: Desk, client: httpx.AsyncClient, queue: Queue
) -> None:
    [job_id] = await put(queue, Kind("ping", Ping), note="canary")
    await logged(recorded, job_id, "enqueued")
    shown = (await client.get(f"{JOBS}/{job_id}")).json()
    assert shown["payload"] == {"user": "•••", "note": "•••"}
    assert (shown["userRef"], shown["mail"]) == (None, None)


async def test_a_request_without_a_name_gets_one_and_a_bad_name_is_not_kept(client: httpx.AsyncClient) -> None:
    names = [(await post(client)).headers["X-Request-Id"] for _ in range(2)]
    assert names[0] != names[1]
    for bad in ("bat@example.mn", "x" * 65, "a b", "<b>"):
        assert (await post(client, request=bad)).headers["X-Request-Id"] != bad
    wrong = await client.post("/api/jobs/signin-notification", json={}, headers={"X-Request-Id": "r-9"})
    assert (wrong.status_code, wrong.headers["X-Request-Id"]) == (400, "r-9")


async def test_where_in_the_code_it_failed_stands_on_the_timeline(
    recorded: Desk, client: httpx.AsyncClient, queue: Queue
) -> None:
    [job_id] = await put(queue, Kind("ping", Ping))
    [lease] = await take(queue)
    await lease.log("half way")
    await queue.settle(lease, Dead("550 no such user", "mx:rcpt:550", "in deep\nPermanent"))
    await logged(recorded, job_id, "dead")
    page = (await client.get(f"{JOBS}/{job_id}")).json()
    assert [step["event"] for step in page["timeline"]] == ["admitted", "claimed", "noted", "died"]
    assert page["timeline"][2]["detail"] == "half way"
    last = page["timeline"][3]
    assert (last["error"], last["cause"], last["trace"]) == ("550 no such user", "mx:rcpt:550", "in deep\nPermanent")
    assert page["error"] == "550 no such user"
    listed = (await client.get(JOBS, params={"status": "dead", "error": "SUCH", "type": "ping"})).json()
    assert [row["jobId"] for row in listed["jobs"]] == [job_id]


async def test_pages_of_the_list(recorded: Desk, client: httpx.AsyncClient, queue: Queue) -> None:
    ids = await put(queue, Kind("ping", Ping), 7)
    await logged(recorded, ids[-1], "enqueued")
    seen, cursor = list[str](), None
    while True:
        params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(JOBS, params=params)).json()
        seen += [row["jobId"] for row in page["jobs"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(ids)


@pytest.mark.parametrize(
    ("path", "query", "field"),
    [
        (JOBS, {"cursor": "x"}, "cursor"),
        (JOBS, {"cursor": "1.<b>"}, "cursor"),
        (JOBS, {"since": "2026-01-01T00:00:00"}, "since"),
        (JOBS, {"status": "lost"}, "status"),
        (JOBS, {"limit": "0"}, "limit"),
        (SEARCH, {}, "q"),
        (SEARCH, {"q": "x" * 321}, "q"),
    ],
)
async def test_bad_queries(desk: Desk, path: str, query: dict[str, str], field: str) -> None:
    async with desk.client() as client:
        reply = await client.get(path, params=query)
        assert reply.status_code == 400
        assert [error["field"] for error in reply.json()["errors"]] == [field]


async def test_where_the_database_is_away_the_queue_still_knows(desk: Desk, queue: Queue) -> None:
    desk.log.away = True
    [job_id] = await put(queue, Kind("ping", Ping))
    async with desk.client() as client:
        assert (await client.get(JOBS)).status_code == 503
        assert "the log is away" in (await client.get(SEARCH, params={"q": "bat@example.mn"})).json()["detail"]
        found = (await client.get(SEARCH, params={"q": job_id})).json()
        assert (found["by"], found["jobs"][0]["jobId"]) == ("jobId", job_id)
        page = (await client.get(f"{JOBS}/{job_id}")).json()
        assert [step["event"] for step in page["timeline"]] == ["admitted"]
        assert page["trouble"] == [{"part": "log", "error": "the log is away"}]
        assert (await client.get(f"{JOBS}/nobody")).status_code == 503
        desk.log.away = False
        assert (await client.get(f"{JOBS}/nobody")).status_code == 404


async def test_where_the_queue_is_away_the_log_still_knows(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    queue = Queue(own_valkey.url)
    desk = Desk(queue, tmp_path, f"sqlite:///{tmp_path}/log.sqlite3")
    async with desk.recording():
        [job_id] = await put(queue, Kind("ping", Ping))
        await logged(desk, job_id, "enqueued")
        own_valkey.kill()
        async with desk.client() as client:
            page = (await client.get(f"{JOBS}/{job_id}")).json()
            assert page["status"] == "enqueued"
            assert [one["part"] for one in page["trouble"]] == ["queue"]
            assert [row["jobId"] for row in (await client.get(JOBS)).json()["jobs"]] == [job_id]
    await queue.close()
    desk.job_log.close()


async def test_only_operators(desk: Desk) -> None:
    async with desk.client(api_keys=["k" * 16], admin_keys=["a" * 16]) as client:
        for path in (JOBS, f"{JOBS}/x", f"{SEARCH}?q=x"):
            assert (await client.get(path, headers={"Authorization": "Bearer " + "k" * 16})).status_code == 403


async def test_a_summary_is_sealed_and_found_as_a_sign_in_is(queue: Queue, tmp_path: Path) -> None:
    known = {
        "YB_NOTIFY": "every", "YB_SECRET_KEYS": "k" * 40, "YB_MAIL_SECRET": "a-secret-of-the-tests",
        "YB_DATA_DIR": str(tmp_path),
    }  # fmt: skip
    settings = load(known, tmp_path / "none").settings
    kinds = {kind.name: kind for kind in worker_kinds(settings, open_inbox(settings), queue, Told())}
    summary = Summary(window="w", user_id="user-canary-1", email=CANARY, due=0)
    sign_in = kinds["signin-notification"].parse(json.dumps(EVENT).encode())
    both = [(kinds["signin-summary"], summary), (kinds["signin-notification"], sign_in)]
    for kind, payload in both:
        assert kind.finder
        assert b"canary" not in kind.encode(payload)
        assert "canary" not in str(kind.finder.masked(payload))
        sought = dict(kind.finder.sought(CANARY))
        assert sought["email"] in kind.finder.keys("job", payload)
    keys = [list(kind.finder.keys("job", payload)) for kind, payload in both if kind.finder]
    assert keys[0] == keys[1]
