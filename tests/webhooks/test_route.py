"""`POST /api/webhooks/{source}` over a real queue: what becomes of a request, and what the sender hears."""

import json
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.conftest import Api
from tests.conftest import ValkeyServer
from tests.parts import Told, take
from tests.webhooks.cases import OLD_STANDARD, RECORDED, SECRETS, STANDARD, fresh, recorded, signed, source_of
from yellowbooks.intake import Intake
from yellowbooks.jobs import Queue
from yellowbooks.settings import load
from yellowbooks.spool import Spool
from yellowbooks.wiring import webhook_routes

TEXT = ",".join(f"{name}:{secret}" for name, secret in SECRETS.items()) + f",own:{OLD_STANDARD}"
by_name = {path.stem: path for path in RECORDED}
each = pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)


class Hooks:
    """Sends as the sources do."""

    def __init__(self, client: httpx.AsyncClient, told: Told) -> None:
        self.client, self.told = client, told

    async def post(self, source: str, body: Any, **how: Any) -> httpx.Response:
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        return await self.client.post(f"/api/webhooks/{source}", content=data, headers=signed(source, data, **how))


@pytest.fixture
async def hooks(api: Api, queue: Queue) -> AsyncIterator[Hooks]:
    settings = load({"YB_WEBHOOK_SECRETS": TEXT}).settings
    async with api.client(routes=webhook_routes(settings, queue, api.kind, api.told)) as client:
        yield Hooks(client, api.told)


@each
async def test_a_sign_in_is_one_job_however_often_it_is_sent(hooks: Hooks, api: Api, queue: Queue, path: Path) -> None:
    source, body = source_of(path), fresh(path)
    first = await hooks.post(source, body)
    again = await hooks.post(source, body, message="msg_2")
    leases = await take(queue, "signin-notification")
    assert len(leases) == 1
    payload = api.kind.decode(leases[0].payload)
    normal = recorded(path)["normal"]
    assert (payload.user_id, payload.email) == (normal["user_id"], normal["email"])
    assert (payload.ip_address, payload.user_agent) == (normal.get("ip_address"), normal.get("user_agent"))
    if source == "supabase":
        assert (first.status_code, again.status_code) == (200, 200)
        assert first.json() == again.json() == {"claims": body["claims"]}
        return
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json() == {"source": source, "status": "enqueued", "jobId": leases[0].job_id}
    assert again.json() == {"source": source, "status": "duplicate", "jobId": leases[0].job_id}
    assert leases[0].job_id.startswith(f"{source}.")


async def test_a_request_that_is_not_proved(hooks: Hooks, queue: Queue) -> None:
    body = json.dumps(fresh(by_name["clerk"])).encode()
    for headers in (
        {},
        signed("clerk", body, OLD_STANDARD),
        signed("clerk", body + b" "),
        signed("clerk", body, at=1.0),
    ):
        reply = await hooks.client.post("/api/webhooks/clerk", content=body, headers=headers)
        assert reply.status_code == 401
        assert reply.json()["detail"].startswith("this request is not proved to be from clerk: ")
    assert await take(queue, "signin-notification") == []


async def test_both_secrets_of_a_source_are_taken(hooks: Hooks) -> None:
    body = fresh(by_name["own"])
    assert (await hooks.post("own", body, secret=STANDARD)).status_code == 202
    assert (await hooks.post("own", body, secret=OLD_STANDARD)).status_code == 200


async def test_who_has_no_secret_is_no_source(api: Api, queue: Queue) -> None:
    settings = load({"YB_WEBHOOK_SECRETS": f"clerk:{STANDARD}"}).settings
    async with api.client(routes=webhook_routes(settings, queue, api.kind, api.told)) as client:
        unset = await client.post("/api/webhooks/workos", content=b"{}")
        unknown = await client.post("/api/webhooks/okta", content=b"{}")
    assert (unset.status_code, unknown.status_code) == (404, 404)
    assert "set YB_WEBHOOK_SECRETS=workos:SECRET" in unset.json()["detail"]
    assert "there are auth0, better-auth, clerk" in unknown.json()["detail"]


async def test_a_request_is_found_by_its_senders_name(hooks: Hooks, queue: Queue) -> None:
    """Unless an address may be in that."""
    for number, name in enumerate(("msg_2xYbK7mQ9t", "bat@example.com", "")):
        body = fresh(by_name["own"])
        body["data"]["eventId"] = f"event-{number}"
        assert (await hooks.post("own", body, **({"message": name} if name else {}))).status_code == 202
    assert [event.request for event in await queue.read(0.1)] == ["msg_2xYbK7mQ9t", None, "msg_1"]


async def test_what_makes_no_job_is_counted(api: Api, queue: Queue) -> None:
    counted: list[tuple[str, str]] = []
    settings = load({"YB_WEBHOOK_SECRETS": TEXT}).settings
    routes = webhook_routes(settings, queue, api.kind, api.told, lambda kind, why: counted.append((kind, why)))
    async with api.client(routes=routes) as client:
        hooks = Hooks(client, api.told)
        body = fresh(by_name["clerk"])
        for sent in (body, body, body | {"type": "user.created"}, body | {"data": 7}):
            await hooks.post("clerk", sent)
        await hooks.post("clerk", body, secret=OLD_STANDARD)
    assert counted == [("signin-notification", why) for why in ("duplicate", "invalid", "unauthorized")]


async def test_another_shape_is_400_with_the_path(hooks: Hooks) -> None:
    body = fresh(by_name["workos"])
    del body["data"]["email"]
    reply = await hooks.post("workos", body)
    assert reply.status_code == 400
    assert reply.json()["errors"] == [{"field": "data.email", "why": "is required"}]
    for data, field in ((b"{", "body"), (b"[]", "body"), (b"7", "body"), (b"\xff\xfe", "body"), (b"[" * 99999, "body")):
        reply = await hooks.post("own", data)
        assert (reply.status_code, reply.json()["errors"][0]["field"]) == (400, field)


async def test_what_is_no_sign_in_is_200_so_that_the_sender_stops(hooks: Hooks, queue: Queue) -> None:
    reply = await hooks.post("clerk", fresh(by_name["clerk"]) | {"type": "user.created"})
    assert (reply.status_code, reply.json()) == (
        200, {"source": "clerk", "status": "ignored", "why": "user.created is no sign-in"},
    )  # fmt: skip
    assert await take(queue, "signin-notification") == []
    assert hooks.told.lines == []


async def test_a_sign_in_that_can_make_no_mail_is_told_to_the_operator(hooks: Hooks) -> None:
    body = fresh(by_name["clerk"])
    body["data"]["user"] = None
    assert (await hooks.post("clerk", body)).json()["status"] == "ignored"
    [(word, fields)] = hooks.told.lines
    assert (word, fields["source"]) == ("missed", "clerk")
    assert "has no address" in fields["why"]
    assert "bat@example.com" not in str(fields)


async def test_a_batch_is_taken_item_by_item(hooks: Hooks, queue: Queue) -> None:
    def log(number: int, **changes: Any) -> dict[str, Any]:
        item = fresh(by_name["auth0"])
        item["log_id"] = f"log-{number}"
        item["data"] |= changes
        return item

    bad = log(3)
    del bad["data"]["user_id"]
    batch = [log(1), log(2, type="slo"), bad, log(1), log(4, user_id="other", ip="no ip")]
    reply = await hooks.post("auth0", batch)
    assert reply.status_code == 202
    items = reply.json()["items"]
    assert [item["status"] for item in items] == ["enqueued", "ignored", "invalid", "duplicate", "enqueued"]
    assert items[2]["errors"] == [{"field": "[2].data.user_id", "why": "is required"}]
    assert items[4]["dropped"] == ["ipAddress"]
    assert {lease.job_id for lease in await take(queue, "signin-notification")} == {"auth0.log-1", "auth0.log-4"}
    again = await hooks.post("auth0", batch)
    assert again.status_code == 200
    assert [item["status"] for item in again.json()["items"]] == [
        "duplicate",
        "ignored",
        "invalid",
        "duplicate",
        "duplicate",
    ]
    assert [fields["why"] for word, fields in hooks.told.lines] == ["cannot be used: [2].data.user_id"] * 2


@pytest.mark.parametrize("form", ["lines", "one"])
async def test_the_other_forms_of_a_batch(hooks: Hooks, queue: Queue, form: str) -> None:
    item = fresh(by_name["auth0"])
    second = item | {"log_id": "log-2"}
    data = json.dumps(item) if form == "one" else f"{json.dumps(item)}\n{json.dumps(second)}\n"
    reply = await hooks.post("auth0", data.encode())
    assert reply.status_code == 202
    assert len(await take(queue, "signin-notification")) == (1 if form == "one" else 2)


async def test_batches_that_nobody_can_read(hooks: Hooks) -> None:
    cases: list[tuple[bytes, str]] = [
        (b'[{"log_id": "1"}]', "[0].data"), (b"[7]", "[0]"), (b'{"data": {}}\n{x}\n', "body, line 2"),
        (json.dumps([{}] * 1001).encode(), "body"),
    ]  # fmt: skip
    for data, field in cases:
        reply = await hooks.post("auth0", data)
        assert (reply.status_code, reply.json()["errors"][0]["field"]) == (400, field)
    empty = await hooks.post("auth0", b"[]")
    assert (empty.status_code, empty.json()) == (200, {"source": "auth0", "items": []})


async def test_over_the_hourly_limit_the_sender_stops_and_the_operator_hears(hooks: Hooks, queue: Queue) -> None:
    body = fresh(by_name["own"])
    for number in range(11):
        body["data"]["eventId"] = f"event-{number}"
        reply = await hooks.post("own", body)
    assert (reply.status_code, reply.json()["status"]) == (200, "limited")
    assert [fields["why"] for _, fields in hooks.told.lines] == ["this user has had as many mails as an hour may bring"]
    assert len(await take(queue, "signin-notification", room=20)) == 10


async def test_while_the_queue_is_away_the_sender_is_told_to_come_again(
    hooks: Hooks,
    api: Api,
    own_valkey: ValkeyServer,
) -> None:
    settings = load({"YB_WEBHOOK_SECRETS": TEXT}).settings
    queue = Queue(own_valkey.url)
    own_valkey.kill()
    async with api.client(routes=webhook_routes(settings, queue, api.kind, api.told)) as client:
        away = Hooks(client, api.told)
        reply = await away.post("clerk", fresh(by_name["clerk"]))
        assert (reply.status_code, "Retry-After" in reply.headers) == (503, True)
        # A sign-in of Supabase waits for its answer, and must not fail with us.
        body = fresh(by_name["supabase"])
        reply = await away.post("supabase", body)
        assert (reply.status_code, reply.json()) == (200, {"claims": body["claims"]})
        assert "the queue is away" in api.told.lines[-1][1]["why"]
    await queue.close()


async def test_while_the_queue_is_full_a_batch_is_to_come_again(api: Api, own_valkey: ValkeyServer) -> None:
    settings = load({"YB_WEBHOOK_SECRETS": TEXT}).settings
    queue = Queue(own_valkey.url, backlog=1)
    async with api.client(routes=webhook_routes(settings, queue, api.kind, api.told)) as client:
        full = Hooks(client, api.told)
        batch = [fresh(by_name["auth0"]) | {"log_id": f"log-{number}"} for number in range(2)]
        reply = await full.post("auth0", batch)
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "30")
        assert len(await take(queue, "signin-notification")) == 1  # and what was taken of it is a duplicate then
        again = await full.post("auth0", batch)
        assert [item["status"] for item in again.json()["items"]] == ["duplicate", "enqueued"]
        body = fresh(by_name["supabase"])
        reply = await full.post("supabase", body)  # this one is not made to wait
        assert (reply.status_code, reply.json()) == (200, {"claims": body["claims"]})
        assert "too many jobs" in api.told.lines[-1][1]["why"]
    await queue.close()


async def test_a_queue_that_hangs_keeps_no_sign_in_waiting(api: Api, own_valkey: ValkeyServer) -> None:
    settings = load({"YB_WEBHOOK_SECRETS": TEXT}).settings
    queue = Queue(own_valkey.url)
    async with api.client(routes=webhook_routes(settings, queue, api.kind, api.told)) as client:
        hanging = Hooks(client, api.told)
        body = fresh(by_name["supabase"])
        assert own_valkey.process
        own_valkey.process.send_signal(signal.SIGSTOP)
        begun = time.monotonic()
        try:
            reply = await hanging.post("supabase", body)
        finally:
            own_valkey.process.send_signal(signal.SIGCONT)
        assert (reply.status_code, reply.json()) == (200, {"claims": body["claims"]})
        assert time.monotonic() - begun < 4  # two seconds are its share, Supabase gives five
        assert api.told.words() == ["missed"]
    await queue.close()


async def test_where_the_disk_takes_it_no_sign_in_is_missed(api: Api, own_valkey: ValkeyServer, tmp_path: Path) -> None:
    settings = load({"YB_WEBHOOK_SECRETS": TEXT}).settings
    queue = Queue(own_valkey.url)
    intake = Intake(queue, [api.kind], Spool(tmp_path / "spool"), api.told)
    async with api.client(routes=webhook_routes(settings, intake, api.kind, api.told)) as client:
        body = fresh(by_name["supabase"])
        assert own_valkey.process
        own_valkey.process.send_signal(signal.SIGSTOP)
        try:
            reply = await Hooks(client, api.told).post("supabase", body)
        finally:
            own_valkey.process.send_signal(signal.SIGCONT)
        assert (reply.status_code, reply.json()) == (200, {"claims": body["claims"]})
        assert api.told.words() == ["spooling"]
        assert intake.waiting == 1
    intake.close()
    await queue.close()


async def test_no_log_line_holds_an_address(hooks: Hooks) -> None:
    for source, path, value in (("own", "email", "canary@"), ("own", "userId", ""), ("own", "email", "cänary@@x.mn")):
        body = fresh(by_name[source])
        body["data"][path] = value
        assert (await hooks.post(source, body)).status_code == 400
    body = fresh(by_name["own"])
    body["data"] |= {"emailVerified": False, "email": "canary@example.com"}
    assert (await hooks.post("own", body)).json()["status"] == "ignored"
    assert len(hooks.told.lines) == 4
    assert "nary" not in str(hooks.told.lines)


async def test_supabase_gets_its_claims_whatever_the_event_is(hooks: Hooks) -> None:
    body = fresh(by_name["supabase"])
    for changes in ({"authentication_method": "token_refresh"}, {"authentication_method": 7}, {"user_id": None}):
        reply = await hooks.post("supabase", body | changes)
        assert (reply.status_code, reply.json()) == (200, {"claims": body["claims"]})
    reply = await hooks.post("supabase", body | {"claims": None})
    assert (reply.status_code, reply.json()["errors"]) == (400, [{"field": "claims", "why": "is required"}])


async def test_a_body_over_a_mebibyte(hooks: Hooks) -> None:
    reply = await hooks.post("own", b" " * (1024 * 1024 + 1))
    assert (reply.status_code, "1 MiB" in reply.json()["detail"]) == (413, True)


async def test_it_stands_in_the_schema(hooks: Hooks) -> None:
    schema = (await hooks.client.get("/schema")).json()
    taking = schema["paths"]["/api/webhooks/{source}"]["post"]
    assert {"200", "202", "400", "401", "404", "413", "503"} <= set(taking["responses"])
    body = taking["requestBody"]
    assert (body["required"], list(body["content"])) == (True, ["application/json"])
    assert "auth0, better-auth, clerk" in body["content"]["application/json"]["schema"]["description"]
