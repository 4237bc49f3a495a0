"""What waits for a job log that is away is bounded, and what goes is counted; the jobs go on."""

import pytest

from tests.parts import Ping, Told, put, take
from yellowbooks.jobs import Kind, Queue
from yellowbooks.jobs.chores import Chores
from yellowbooks.jobs.outcome import Completed, Dead, Unknown
from yellowbooks.jobs.verbs import Shed
from yellowbooks.metrics.behind import lag, shed


async def run(queue: Queue, ping: Kind[Ping], count: int, prefix: str) -> list[str]:
    ids = await put(queue, ping, count, note=prefix)
    while leases := await take(queue, room=1):
        await queue.settle(leases[0], Completed())
    return ids


async def test_within_the_bound_nothing_goes(queue: Queue, ping: Kind[Ping]) -> None:
    await run(queue, ping, 9, "a")
    assert await queue.shed() == Shed()
    assert (await lag(queue))[0] == 27


async def test_the_oldest_events_go_first_and_the_jobs_still_say_what_happened(
    queue: Queue, ping: Kind[Ping], open_queue
) -> None:
    ids = [*await run(queue, ping, 9, "a"), *await run(queue, Kind("ping", Ping), 300, "b")]
    newest = (await queue.read(0.01, entries=10_000))[-1].position
    queue._log_backlog = 40_000
    went = await queue.shed()
    assert went.entries > 100
    assert (went.jobs, went.payloads) == (0, 0)
    left = await queue.read(0.01, entries=10_000)
    assert left[-1].position == newest
    assert len(left) == 927 - went.entries
    used = await queue.link.client.memory_usage(f"{queue.tag}:events")
    assert used <= 40_000 * 1.2  # whole nodes of the stream go
    assert await shed(queue) == {"entries": went.entries, "jobs": 0, "payloads": 0}
    for job_id in ids:
        job = await queue.show(job_id)
        assert job is not None
        assert [event.name for event in job.history] == ["admitted", "claimed", "completed"]


async def test_then_ended_jobs_whose_retention_is_over_and_their_ids_stay_known(queue: Queue, ping: Kind[Ping]) -> None:
    _, first = await queue.admit(ping, Ping(job_id="first"))
    assert first.word == "admitted"
    old = ["first", *await run(queue, Kind("ping", Ping), 40, "a")]
    queue._log_backlog = 20 * 240
    assert (await queue.shed()).jobs == 0  # within their retention they are not the log's
    queue._retention_ms = 0
    went = await queue.shed()
    assert went.jobs == 21
    assert await queue.show("first") is None
    assert await queue.show(old[-1]) is not None
    assert (await queue.admit(ping, Ping(job_id="first")))[1].same
    assert (await queue.shed()).jobs == 0


async def test_no_payload_of_a_dead_job_outlives_its_retention(queue: Queue, ping: Kind[Ping]) -> None:
    ids = await put(queue, ping, 3)
    for lease in await take(queue):
        await queue.settle(lease, Dead("boom", "boom"))
    assert (await queue.shed()).payloads == 0
    assert all(await queue.stored(ids))
    queue._dead_retention_ms = -1000
    assert (await queue.shed()).payloads == 3
    assert (await queue.shed()).payloads == 0
    assert await queue.stored(ids) == [None] * 3
    jobs, _, count = await queue.dead(10)
    assert count == 3
    assert {job.cause for job in jobs} == {"boom"}
    assert await queue.requeue(ids[:1]) == ["requeued"]
    [lease] = await take(queue)
    with pytest.raises(Unknown, match="missing"):
        ping.decode(lease.payload)
    await queue.settle(lease, Dead("no payload"))


async def test_every_worker_sees_to_it_and_says_so(queue: Queue, ping: Kind[Ping]) -> None:
    told = Told()
    chores = Chores(queue, (), told)
    await chores._shed()
    assert told.lines == []
    await run(queue, Kind("ping", Ping), 100, "a")
    queue._log_backlog = 0
    queue._retention_ms = 0
    await chores._shed()
    assert told.lines == [("log_shed", {"entries": 300, "jobs": 100, "payloads": 0})]
    assert (await queue.survey()).ended == 0
    assert (await queue.admit(ping, Ping()))[1].word == "admitted"
    assert (await take(queue))[0].attempt == 1
