"""Acts of operators: on one job, on many with ten seconds to take them back, and the trail of all of them."""

import asyncio
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar, Request

from tests.conftest import ValkeyServer
from tests.operators.conftest import Desk, told
from tests.operators.test_finding import CANARY, EVENT, logged, post, run
from tests.parts import Ping, eventually, put, take
from yellowbooks.api import Filter
from yellowbooks.jobs import Kind, Queue
from yellowbooks.jobs.outcome import Completed, Dead

DLQ, JOBS, AUDIT, ACTS = "/api/admin/dlq", "/api/admin/jobs", "/api/admin/audit", "/api/admin/acts"
WHY = {"reason": "he asked"}


@pytest.fixture
async def acting(desk: Desk):
    """The desk, its acts looked after as by a running API; a place of its own at Valkey."""
    await desk.acts.start()
    yield desk
    await desk.parts.close()


@pytest.fixture
async def client(acting: Desk):
    async with acting.client() as client:
        yield client


@pytest.fixture(autouse=True)
def own_acts(monkeypatch: pytest.MonkeyPatch, queue_name: str) -> None:
    monkeypatch.setattr("yellowbooks.operators.acts.KEY", f"{{yb:acts}}:{queue_name}")


async def bury(queue: Queue, count: int = 1, error: str = "boom", cause: str = "boom") -> list[str]:
    ids = await put(queue, Kind("ping", Ping), count)
    while leases := await take(queue, room=100):
        await queue.settle_many([(lease, Dead(error, cause)) for lease in leases])
    return ids


async def trail(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    acts: list[dict[str, Any]] = (await client.get(AUDIT, params=query)).json()["acts"]
    return acts


async def states(queue: Queue, ids: list[str]) -> set[str]:
    return {str(job.state) for job_id in ids if (job := await queue.show(job_id))}


async def test_taken_back_within_ten_seconds_nothing_was_done(client: httpx.AsyncClient, queue: Queue) -> None:
    ids = await bury(queue, 3)
    reply = await client.post(f"{DLQ}/retry", json={"delay": 10})
    act = reply.json()
    assert (reply.status_code, act["count"]) == (202, 3)
    assert (await client.get(f"{ACTS}/{act['actId']}")).json()["state"] == "waiting"
    assert await states(queue, ids) == {"dead"}
    undone = await client.delete(f"{ACTS}/{act['actId']}")
    assert (undone.status_code, undone.json()["state"]) == (200, "undone")
    assert (await client.delete(f"{ACTS}/{act['actId']}")).json()["state"] == "undone"
    assert await states(queue, ids) == {"dead"}
    assert [one["act"] for one in await trail(client)] == ["undo", "retry"]
    assert (await client.delete(f"{ACTS}/none")).status_code == 404


@pytest.mark.parametrize(("verb", "state"), [("retry", "enqueued"), ("discard", "cancelled")])
async def test_after_the_delay_it_is_done_to_those_that_were_counted(
    client: httpx.AsyncClient, queue: Queue, verb: str, state: str
) -> None:
    ids = await bury(queue, 5)
    act = (await client.post(f"{DLQ}/{verb}", json={"error": "BOOM", "delay": 0.3, "reason": "x"})).json()
    await asyncio.sleep(0.005)
    [later] = await bury(queue)

    async def done() -> bool:
        shown = (await client.get(f"{ACTS}/{act['actId']}")).json()
        return bool(shown["state"] == "done" and shown["done"] == 5)

    await eventually(done)
    assert await states(queue, ids) == {state}
    assert await states(queue, [later]) == {"dead"}
    late = await client.delete(f"{ACTS}/{act['actId']}")
    assert (late.status_code, late.json()["detail"]) == (409, "it is too late: the act is done")


async def test_an_act_outlives_the_process_that_took_it_in(desk: Desk, queue: Queue, tmp_path: Any) -> None:
    ids = await bury(queue, 2)
    async with desk.client() as client:  # nobody does its acts
        act = (await client.post(f"{DLQ}/retry", json={"delay": 0.1, "ids": ids})).json()
        await asyncio.sleep(0.2)
        assert await states(queue, ids) == {"dead"}
    other = Desk(queue, tmp_path, f"sqlite:///{tmp_path}/log.sqlite3")
    await other.acts.start()

    async def moved() -> bool:
        return await states(queue, ids) == {"enqueued"}

    await eventually(moved)
    assert (await other.acts.show(act["actId"])).done == 2
    await other.parts.close()
    other.job_log.close()


async def test_two_processes_do_an_act_once(acting: Desk, queue: Queue, tmp_path: Any) -> None:
    other = Desk(queue, tmp_path, f"sqlite:///{tmp_path}/log.sqlite3")
    ids = await bury(queue, 30)
    async with acting.client() as client:
        act = (await client.post(f"{DLQ}/retry", json={"delay": 0.2})).json()
        await other.acts.start()  # sees the act, and waits for its time too

        async def done() -> bool:
            return (await acting.acts.show(act["actId"])).state == "done"

        await eventually(done)
        assert (await acting.acts.show(act["actId"])).done == 30
    for job_id in ids:
        job = await queue.show(job_id)
        assert job
        assert [event.name for event in job.history].count("requeued") == 1
    await other.parts.close()
    other.job_log.close()


async def test_an_act_that_nobody_could_do_for_long_is_not_done(
    acting: Desk, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("yellowbooks.operators.acts.LATE_SECONDS", -1.0)
    ids = await bury(queue)
    async with acting.client() as client:
        act = (await client.post(f"{DLQ}/retry", json={"delay": 0.1})).json()

        async def failed() -> bool:
            return (await acting.acts.show(act["actId"])).state == "failed"

        await eventually(failed)
    assert await states(queue, ids) == {"dead"}


async def test_listeners_hear_how_an_act_goes(desk: Desk, queue: Queue) -> None:
    await bury(queue, 4)
    async with (
        desk.served() as url,
        httpx.AsyncClient(timeout=10) as client,
        client.stream("GET", f"{url}/api/events") as reply,
    ):
        stream = told(reply)
        await anext(stream)
        act = (await client.post(f"{url}{DLQ}/retry", json={"delay": 1.2})).json()
        seen = []
        async for event, _, body in stream:
            if event == "act":
                seen.append((body["actId"], body["state"], body["count"], body["done"]))
                if body["state"] == "done":
                    break
    assert seen[0] == (act["actId"], "waiting", 4, 0)
    assert seen[-1] == (act["actId"], "done", 4, 4)


async def test_what_is_personal_is_shown_on_request_and_the_request_stands_in_the_trail(
    acting: Desk, client: httpx.AsyncClient
) -> None:
    job_id = (await post(client)).json()["jobId"]
    assert (await client.post(f"{JOBS}/{job_id}/reveal", json={"reason": " "})).status_code == 400
    assert (await client.post(f"{JOBS}/{job_id}/reveal")).json()["errors"][0]["field"] in ("body", "reason")
    assert await trail(client) == []
    reply = await client.post(f"{JOBS}/{job_id}/reveal", json=WHY, headers={"X-Operator": "сараа".encode()})
    assert reply.json()["payload"]["email"] == CANARY
    assert reply.headers["cache-control"] == "no-store"
    html = await client.get(f"{JOBS}/{job_id}/mail")
    assert "sandbox; default-src 'none'" in html.headers["content-security-policy"]
    assert (html.headers["content-type"], "<html" in html.text) == ("text/html; charset=utf-8", True)
    plain = await client.get(f"{JOBS}/{job_id}/mail", params={"form": "text", "reason": "he asked"})
    assert plain.headers["content-type"].startswith("text/plain")
    assert "Бат Канар" in plain.text
    acts = await trail(client)
    assert [(one["act"], one["what"], one["reason"]) for one in acts] == [
        ("mail", job_id, "he asked"), ("mail", job_id, ""), ("reveal", job_id, "he asked"),
    ]  # fmt: skip
    assert acts[2]["who"] == "сараа"
    assert "canary" not in str(acts)
    assert (await client.post(f"{JOBS}/nobody/reveal", json=WHY)).status_code == 404


async def test_the_mail_of_a_job_that_ended_is_the_one_that_was_kept(acting: Desk, queue: Queue) -> None:
    async with acting.recording(), acting.client() as client:
        job_id = (await post(client)).json()["jobId"]
        [lease] = await take(queue, "signin-notification")
        await run(acting, lease)
        await logged(acting, job_id, "completed")
        assert "Бат Канар" in (await client.get(f"{JOBS}/{job_id}/mail", params={"form": "text"})).text
        gone = await client.post(f"{JOBS}/{job_id}/reveal", json=WHY)
        assert (gone.status_code, "payload was dropped" in gone.json()["detail"]) == (404, True)


async def test_cancel_says_what_it_ended(client: httpx.AsyncClient, queue: Queue) -> None:
    waiting, running = await put(queue, Kind("ping", Ping), 2)
    reply = await client.post(f"{JOBS}/{running}/cancel", json=WHY)
    assert (reply.status_code, reply.json()["status"]) == (200, "cancelled")
    assert (await client.post(f"{JOBS}/{running}/cancel", json=WHY)).status_code == 409
    assert (await client.post(f"{JOBS}/nobody/cancel", json=WHY)).status_code == 404
    [lease] = await take(queue)
    await lease.commit()
    late = await client.post(f"{JOBS}/{waiting}/cancel", json=WHY)
    assert (late.status_code, "point of no return" in late.json()["detail"]) == (409, True)
    await queue.settle(lease, Completed())
    acts = await trail(client)
    assert [one["act"] for one in acts] == ["cancel-failed", "cancel", "cancel"]
    assert (acts[2]["before"]["status"], acts[2]["after"]) == ("enqueued", {"status": "cancelled"})


async def test_edit_is_checked_and_its_trail_is_masked(client: httpx.AsyncClient, queue: Queue) -> None:
    job_id = (await post(client)).json()["jobId"]
    [lease] = await take(queue, "signin-notification")
    url = f"{DLQ}/{job_id}"
    assert (await client.patch(url, json={"payload": EVENT, **WHY})).status_code == 409
    await queue.settle(lease, Dead("550 no such user"))
    for payload in ({}, EVENT | {"email": "x"}, EVENT | {"jobId": "other"}, EVENT | {"email": "b***@example.mn"}):
        reply = await client.patch(url, json={"payload": payload, **WHY})
        assert (reply.status_code, bool(reply.json()["errors"])) == (400, True), payload
    assert (await client.patch(url, json={"payload": EVENT})).status_code == 400
    better = EVENT | {"email": "right.canary@example.mn"}
    assert (await client.patch(url, json={"payload": better, **WHY})).json() == {"jobId": job_id, "status": "dead"}
    shown = (await client.post(f"{JOBS}/{job_id}/reveal", json=WHY)).json()["payload"]
    assert shown == better
    edit = (await trail(client))[1]
    assert (edit["act"], edit["before"]["email"], edit["after"]["email"]) == (
        "edit", "b***@example.mn", "r***@example.mn",
    )  # fmt: skip
    assert edit["after"]["changed"] == ["email"]
    assert "canary" not in str(edit)


async def test_an_edited_job_is_found_by_what_it_has_now_too(acting: Desk, queue: Queue) -> None:
    async with acting.recording(), acting.client() as client:
        job_id = (await post(client)).json()["jobId"]
        [lease] = await take(queue, "signin-notification")
        await queue.settle(lease, Dead("550 no such user"))
        better = EVENT | {"email": "right.canary@example.mn"}
        assert (await client.patch(f"{DLQ}/{job_id}", json={"payload": better, **WHY})).status_code == 200

        async def found() -> bool:
            answers = [
                (await client.get("/api/admin/search", params={"q": q})).json() for q in (CANARY, better["email"])
            ]
            return [[job["jobId"] for job in one["jobs"]] for one in answers] == [[job_id], [job_id]]

        await eventually(found, 20)


async def test_acts_on_dead_jobs_stand_in_the_trail(client: httpx.AsyncClient, queue: Queue) -> None:
    first, second, third = await bury(queue, 3, "550", "mx:550")
    await bury(queue, 1, "5501", "mx:5501")
    await client.post(f"{DLQ}/{first}/retry", auth=("bat", "k"))
    await client.delete(f"{DLQ}/{second}", params={"reason": "old"})
    listed = (await client.get(DLQ, params={"causeIs": "mx:550"})).json()
    assert ([job["jobId"] for job in listed["jobs"]], listed["count"]) == ([third], 1)
    assert listed["jobs"][0]["diedAt"].endswith("Z")
    assert (await client.post(f"{DLQ}/retry", json={"causeIs": "mx:550"})).json() == {"requeued": 1}
    for bad in ({}, {"reason": "x"}, {"causeIs": "mx:5501"}):
        assert (await client.post(f"{DLQ}/discard", json=bad)).status_code == 400
    preview = (await client.post(f"{DLQ}/discard", json={"cause": "mx", "preview": True})).json()
    assert preview["count"] == 1
    assert (await client.post(f"{DLQ}/discard", json={"cause": "mx", "reason": "old"})).json() == {"discarded": 1}
    acts = await trail(client)
    assert [(one["act"], one["what"], one["who"], one["reason"]) for one in acts] == [
        ("discard", '{"cause":"mx"}', "", "old"), ("retry", '{"causeIs":"mx:550"}', "", ""),
        ("discard", second, "", "old"), ("retry", first, "bat", ""),
    ]  # fmt: skip
    assert acts[3]["before"]["error"] == "550"
    job = await queue.show(first)
    assert job
    assert job.history[-1].by == "bat"
    assert [one["what"] for one in await trail(client, what=second)] == [second]


async def test_many_pages_of_dead_jobs_of_one_cause(client: httpx.AsyncClient, queue: Queue) -> None:
    ids = await bury(queue, 7)
    await bury(queue, 2, "other", "other")
    seen, cursor = list[str](), None
    while True:
        params = {"cause": "boo", "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await client.get(DLQ, params=params)).json()
        assert page["count"] == 7
        seen += [job["jobId"] for job in page["jobs"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(ids)
    assert len(seen) == 7


async def test_pause_and_resume_a_kind(client: httpx.AsyncClient, queue: Queue) -> None:
    await put(queue, Kind("ping", Ping), 2)
    reply = await client.post("/api/admin/kinds/ping/pause", json=WHY, auth=("bat", "k"))
    assert reply.json()["paused"]["by"] == "bat"
    assert await take(queue) == []
    kinds = {kind["kind"]: kind for kind in (await client.get("/api/admin/kinds")).json()["kinds"]}
    assert (kinds["ping"]["waiting"], kinds["ping"]["paused"]["why"]) == (2, "he asked")
    mail = kinds["signin-notification"]
    assert (mail["channel"], mail["attempts"], mail["rate"]["count"], mail["paused"]) == ("mail", 5, 10, None)
    assert (await client.post("/api/admin/kinds/ping/resume", json=WHY)).json()["paused"] is None
    assert (await client.post("/api/admin/kinds/ping/resume", json=WHY)).status_code == 409
    assert len(await take(queue)) == 2
    assert (await client.post("/api/admin/kinds/nothing/pause", json=WHY)).status_code == 404
    assert (await client.post("/api/admin/kinds/ping/pause", json={})).status_code == 400
    assert [one["act"] for one in await trail(client)] == ["resume", "pause"]


async def test_who_gets_no_mail_and_lifting_one(acting: Desk, client: httpx.AsyncClient) -> None:
    from yellowbooks.mail import by_operator
    from yellowbooks.wiring import suppression_list

    ones = suppression_list(acting.settings, acting.queue)
    key = ones.ref("canary@example.mn")
    await ones.change(key, by_operator("he wants none", 86_400))
    listed = (await client.get("/api/admin/suppressions")).json()
    [one] = [one for one in listed["suppressions"] if one["key"] == key]
    assert (one["why"], one["address"], one["cause"]) == ("he wants none", None, "operator")
    request = ("DELETE", f"/api/admin/suppressions/{key}")
    assert (await client.request(*request)).status_code == 400
    assert (await client.request(*request, json=WHY)).json() == {"key": key, "status": "lifted"}
    assert (await client.request(*request, json=WHY)).status_code == 404
    [act] = await trail(client)
    assert (act["act"], act["what"], act["before"]["why"]) == ("lift", key, "he wants none")
    assert (await client.get("/api/admin/suppressions", params={"cursor": "x"})).status_code == 400


async def test_what_cannot_be_written_down_is_not_done(acting: Desk, client: httpx.AsyncClient, queue: Queue) -> None:
    [dead] = await bury(queue)
    job_id = (await post(client)).json()["jobId"]
    acting.log.away = True
    asked = [
        ("POST", f"{DLQ}/{dead}/retry", {}),
        ("DELETE", f"{DLQ}/{dead}", {}),
        ("POST", f"{DLQ}/retry", {}),
        ("POST", f"{DLQ}/retry", {"delay": 0.1}),
        ("POST", f"{DLQ}/discard", {"ids": [dead], **WHY}),
        ("POST", f"{JOBS}/{job_id}/reveal", WHY),
        ("POST", f"{JOBS}/{job_id}/cancel", WHY),
        ("POST", "/api/admin/kinds/ping/pause", WHY),
        ("PATCH", f"{DLQ}/{dead}", {"payload": {"note": "new"}, **WHY}),
    ]
    for method, path, body in asked:
        reply = await client.request(method, path, json=body)
        assert (reply.status_code, "nothing was done" in reply.json()["detail"]) == (503, True), path
    await asyncio.sleep(0.3)
    assert await states(queue, [dead]) == {"dead"}
    assert await states(queue, [job_id]) == {"enqueued"}
    assert dict((await queue.survey()).gates) == {}
    acting.log.away = False
    assert await trail(client) == []


async def test_keys_are_told_apart_and_not_given_away(desk: Desk, queue: Queue) -> None:
    keys = ["a" * 16, "b" * 16]
    async with desk.client(api_keys=["k" * 16], admin_keys=keys) as client:
        for key in keys:
            [job_id] = await bury(queue)
            headers = {"Authorization": f"Bearer {key}", "X-Operator": "bat"}
            assert (await client.post(f"{DLQ}/{job_id}/retry", headers=headers)).status_code == 200
        headers = {"Authorization": f"Bearer {keys[0]}"}
        acts = (await client.get(AUDIT, headers=headers, params={"limit": 1})).json()
        rest = (await client.get(AUDIT, headers=headers, params={"limit": 1, "cursor": acts["next"]})).json()
        one, two = acts["acts"][0], rest["acts"][0]
        assert one["who"] == two["who"] == "bat"
        assert one["key"] != two["key"]
        assert len(one["key"]) == 8
        assert rest["next"] is None


async def test_where_the_queue_is_away_acts_are_503(own_valkey: ValkeyServer, tmp_path: Any) -> None:
    queue = Queue(own_valkey.url)
    desk = Desk(queue, tmp_path, f"sqlite:///{tmp_path}/log.sqlite3")
    await desk.acts.start()
    own_valkey.kill()
    async with desk.client() as client:
        for method, path, body in (
            ("POST", f"{DLQ}/retry", {"delay": 5}), ("POST", f"{JOBS}/a/cancel", WHY), ("POST", f"{JOBS}/a/reveal", WHY),
            ("GET", "/api/admin/kinds", None), ("GET", "/api/admin/suppressions", None), ("GET", f"{ACTS}/a", None),
        ):  # fmt: skip
            assert (await client.request(method, path, json=body)).status_code == 503, path
    await desk.parts.close()
    await queue.close()
    desk.job_log.close()


async def test_every_route_of_operators_asks_for_their_key(desk: Desk) -> None:
    app: Litestar = desk.app(api_keys=["k" * 16], admin_keys=["a" * 16])
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    asked = 0
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3333") as client:
        for route in app.routes:
            if not route.path.startswith(("/api/admin", "/api/events")):
                continue
            path = route.path.replace("{job_id:str}", "x").replace("{kind:str}", "x").replace("{key:str}", "x")
            for method in route.methods - {"OPTIONS"}:  # type: ignore[union-attr]
                for headers, status in (({}, 401), ({"Authorization": "Bearer " + "k" * 16}, 403)):
                    reply = await client.request(method, path.replace("{act_id:str}", "x"), headers=headers)
                    assert reply.status_code == status, (method, path)
                    asked += 1
    assert asked > 40


async def test_a_half_done_act_is_finished_by_another_process_once_its_seat_is_free(acting: Desk, queue: Queue) -> None:
    ids = await bury(queue, 2)
    act = (await acting.acts.plan(_request(), "retry", Filter(delay=3600, ids=ids), 2))["actId"]
    assert await queue.lock(f"act:{act}", "another", 60)
    kept, body = await acting.acts._read(act)
    assert kept
    assert await acting.acts._replace(msgspec.structs.replace(kept, state="running", at=0.0), body)
    acting.acts._changed.set()
    await asyncio.sleep(0.3)
    assert await states(queue, ids) == {"dead"}
    await queue.unlock(f"act:{act}", "another")
    acting.acts._changed.set()

    async def done() -> bool:
        return (await acting.acts.show(act)).state == "done"

    await eventually(done)
    assert await states(queue, ids) == {"enqueued"}


def _request() -> Request[Any, Any, Any]:
    return Request({"type": "http", "headers": []})  # type: ignore[typeddict-item,arg-type]
