"""The dead letter queue over HTTP: list, requeue one or many, discard."""

import httpx
import pytest

from tests.parts import Ping, put, take
from yellowbooks.jobs import Kind, Queue
from yellowbooks.jobs.outcome import Dead

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


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"eror":"x"}', b'{"limit":0}', b"\xff"])
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
