"""The dead letter queue over HTTP: list, requeue one or many, discard."""

import asyncio

import httpx
import pytest

from tests.conftest import ValkeyServer
from tests.parts import Ping, put, take
from yellowbooks.jobs import Kind, Queue
from yellowbooks.jobs.attempt import Runner
from yellowbooks.jobs.outcome import Dead, Outcome, Retry

DLQ = "/api/admin/dlq"


async def bury(queue: Queue, ping: Kind[Ping], *errors: str) -> list[str]:
    """Dead jobs, one an error; the last is the newest."""
    ids = []
    for error in errors:
        ids += await put(queue, ping, note=error)
        [lease] = await take(queue)
        await queue.settle(lease, Dead(error))
    return ids


async def test_an_empty_list(client: httpx.AsyncClient) -> None:
    assert (await client.get(DLQ)).json() == {"count": 0, "jobs": [], "nextCursor": None}


async def test_newest_first_in_pages(client: httpx.AsyncClient, queue: Queue, ping: Kind[Ping]) -> None:
    ids = await bury(queue, ping, "a", "b", "c")
    first = (await client.get(DLQ, params={"limit": 2})).json()
    assert first["count"] == 3
    assert [job["jobId"] for job in first["jobs"]] == ids[:0:-1]
    rest = (await client.get(DLQ, params={"limit": 2, "cursor": first["nextCursor"]})).json()
    assert [job["jobId"] for job in rest["jobs"]] == ids[:1]
    assert rest["nextCursor"] is None
    job = first["jobs"][0]
    assert (job["status"], job["error"], job["attempts"]) == ("dead", "c", 1)


async def test_only_those_with_an_error(client: httpx.AsyncClient, queue: Queue, ping: Kind[Ping]) -> None:
    _, second, _ = await bury(queue, ping, "550 unknown", "SMTP is AWAY", "550 other")
    found = (await client.get(DLQ, params={"error": "away"})).json()
    assert (found["count"], [job["jobId"] for job in found["jobs"]]) == (1, [second])


@pytest.mark.parametrize(
    "query",
    [
        {"limit": "0"},
        {"limit": "101"},
        {"limit": "x"},
        {"cursor": "x"},
        {"cursor": "nan"},
        {"cursor": "inf"},
        {"cursor": "1e400"},
    ],
)
async def test_bad_queries(client: httpx.AsyncClient, query: dict[str, str]) -> None:
    reply = await client.get(DLQ, params=query)
    assert reply.status_code == 400
    assert [error["field"] for error in reply.json()["errors"]] == list(query)


async def test_requeue_one(client: httpx.AsyncClient, queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await bury(queue, ping, "a")
    reply = await client.post(f"{DLQ}/{job_id}/retry")
    assert (reply.status_code, reply.json()) == (200, {"jobId": job_id, "status": "enqueued"})
    assert (await client.post(f"{DLQ}/{job_id}/retry")).status_code == 409
    assert (await client.post(f"{DLQ}/nobody/retry")).status_code == 404
    assert [lease.job_id for lease in await take(queue)] == [job_id]


async def test_requeue_many(client: httpx.AsyncClient, queue: Queue, ping: Kind[Ping]) -> None:
    await bury(queue, ping, *["x"] * 5, *["y"] * 3)
    assert (await client.post(f"{DLQ}/retry", json={"error": "y", "limit": 2})).json() == {"requeued": 2}
    assert (await client.post(f"{DLQ}/retry", params={"error": "y"})).json() == {"requeued": 1}
    reply = await client.post(f"{DLQ}/retry")
    assert (reply.status_code, reply.json()) == (202, {"requeued": 5})
    assert (await client.get(DLQ)).json()["count"] == 0
    assert len(await take(queue, room=20)) == 8


async def test_a_preview_moves_nothing_and_then_what_was_counted_is_moved(
    client: httpx.AsyncClient, queue: Queue, ping: Kind[Ping]
) -> None:
    await bury(queue, ping, *["x"] * 3, "y")
    shown = (await client.post(f"{DLQ}/retry", json={"error": "X", "preview": True})).json()
    assert shown["count"] == 3
    assert (await client.get(DLQ)).json()["count"] == 4
    await asyncio.sleep(0.005)
    await bury(queue, ping, "x")
    again = {"error": "X", "diedBefore": shown["diedBefore"], "pace": 0.001}
    assert (await client.post(f"{DLQ}/retry", json=again)).json() == {"requeued": 3}
    assert (await client.get(DLQ)).json()["count"] == 2
    assert len(await take(queue)) == 1  # the others come one after another, every 1,000 s
    assert (await client.post(f"{DLQ}/retry", json={"diedAfter": shown["diedBefore"]})).json() == {"requeued": 2}


async def test_causes_and_where_in_the_code(client: httpx.AsyncClient, valkey: ValkeyServer, queue: Queue) -> None:
    def deep(_lease: object, _ping: Ping) -> None:
        raise ValueError("no bat@example.com")

    kind, newer = Kind("ping", Ping, deep), Queue(valkey.url, name=queue.tag[4:-3], release="1.2.3")
    [job_id] = await put(queue, kind)
    for last in (False, True):
        [lease] = await take(newer)
        outcome: Outcome = await Runner(kind)(lease)
        assert isinstance(outcome, Retry)
        ended = Dead(outcome.error, outcome.cause, outcome.trace)
        await newer.settle(lease, ended if last else Retry(0.0, outcome.error, outcome.cause, trace=outcome.trace))
    found = (await client.get(f"{DLQ}/causes")).json()["causes"]
    [shown] = found
    assert shown.pop("newest").endswith("Z")
    assert shown == {"kind": "ping", "cause": "ValueError: no bat@example.com", "release": "1.2.3", "count": 1}
    shown = (await client.get(f"{DLQ}/{job_id}")).json()
    assert (shown["release"], shown["cause"]) == ("1.2.3", "ValueError: no bat@example.com")
    traces = [event["trace"] for event in shown["history"] if "trace" in event]
    assert len(traces) == 2
    assert all(", in deep\n" in trace and trace.endswith("ValueError") for trace in traces)
    assert "trace" not in str((await client.get(f"/api/jobs/{job_id}")).json())
    assert "trace" not in str([event for event in await queue.read(0.1) if event.trace])
    assert (await client.get(f"{DLQ}/nobody")).status_code == 404
    assert (await client.post(f"{DLQ}/retry", json={"release": "1.2.2"})).json() == {"requeued": 0}
    assert (await client.post(f"{DLQ}/retry", json={"cause": "ValueError", "release": "1.2.3"})).json() == {
        "requeued": 1
    }
    assert (await client.get(f"{DLQ}/{job_id}")).status_code == 409
    await newer.close()


@pytest.mark.parametrize(
    "body",
    [b'{"diedBefore":"2026-01-01T00:00:00"}', b'{"pace":0}', b"[]", b"{", b'{"eror":"x"}', b'{"limit":0}', b"\xff"],
)
async def test_a_bad_filter_moves_nothing(
    client: httpx.AsyncClient, queue: Queue, ping: Kind[Ping], body: bytes
) -> None:
    await bury(queue, ping, "a")
    assert (await client.post(f"{DLQ}/retry", content=body)).status_code == 400
    assert (await client.get(DLQ)).json()["count"] == 1


async def test_discard(client: httpx.AsyncClient, queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await bury(queue, ping, "a")
    reply = await client.delete(f"{DLQ}/{job_id}")
    assert (reply.status_code, reply.json()) == (200, {"jobId": job_id, "status": "cancelled"})
    assert (await client.delete(f"{DLQ}/{job_id}")).status_code == 409
    assert (await client.delete(f"{DLQ}/nobody")).status_code == 404
    assert (await client.get(f"/api/jobs/{job_id}")).json()["status"] == "cancelled"
