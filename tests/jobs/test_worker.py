"""The worker: claim, run, decide, settle; and the graceful stop."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from tests.conftest import ValkeyServer
from tests.parts import Ping, Told, eventually, put
from yellowbooks.jobs import Backoff, Job, Kind, Lease, Permanent, Queue, RetryAfter, State, Uncertain, Worker
from yellowbooks.jobs.record import parse

Handler = Callable[[Lease, Ping], Any]


def kind(handler: Handler, **policy: Any) -> Kind[Ping]:
    return Kind("ping", Ping, handler, **({"backoff": Backoff(attempts=5, base=0.02)} | policy))


@asynccontextmanager
async def working(
    open_queue: Callable[[], Queue], *kinds: Kind[Any], told: Told | None = None, concurrency: int = 10,
    grace: float = 5.0,
) -> AsyncIterator[asyncio.Event]:  # fmt: skip
    stop, at_once = asyncio.Event(), asyncio.Event()
    worker = Worker(open_queue, kinds, concurrency=concurrency, grace=grace, tell=told or Told())
    running = asyncio.create_task(worker.run(stop, at_once))
    yield stop
    stop.set()
    await running


async def ended(queue: Queue, job_id: str, *states: State) -> Job:
    async def look() -> Job | None:
        job = await queue.show(job_id)
        return job if job and job.state in (states or (State.COMPLETED, State.DEAD)) else None

    found: Job = await eventually(look)
    return found


async def test_a_job_is_run_and_completed(queue: Queue, open_queue) -> None:
    seen = []

    async def handler(lease: Lease, ping: Ping) -> None:
        seen.append((lease.attempt, ping.note))

    async with working(open_queue, kind(handler)):
        [job_id] = await put(queue, kind(handler), note="hello")
        job = await ended(queue, job_id)
    assert job.state is State.COMPLETED
    assert seen == [(1, "hello")]
    assert [event.name for event in job.history] == ["admitted", "claimed", "completed"]


async def test_a_failing_job_has_five_attempts_and_dies(queue: Queue, open_queue) -> None:
    async def handler(lease: Lease, ping: Ping) -> None:
        raise ValueError("no luck")

    told = Told()
    async with working(open_queue, kind(handler), told=told):
        [job_id] = await put(queue, kind(handler))
        job = await ended(queue, job_id)
    assert (job.state, job.attempts, job.error) == (State.DEAD, 5, "ValueError: no luck")
    assert [e.name for e in job.history if e.name in ("retried", "died")] == ["retried"] * 4 + ["died"]
    assert told.words().count("retry") == 4
    assert "dead" in told.words()


async def test_the_waits_between_attempts_are_those_of_the_backoff(queue: Queue, open_queue) -> None:
    async def handler(lease: Lease, ping: Ping) -> None:
        if lease.attempt < 4:
            raise ValueError("not yet")

    async with working(open_queue, kind(handler, backoff=Backoff(attempts=5, base=0.1))):
        [job_id] = await put(queue, kind(handler))
        job = await ended(queue, job_id)
    claimed = [event.at for event in job.history if event.name == "claimed"]
    waits = [(after - before) / 1000 for before, after in pairwise(claimed)]
    assert [pytest.approx(wait, abs=1.0) for wait in (0.1, 0.2, 0.4)] == waits
    assert all(wait >= least for wait, least in zip(waits, (0.1, 0.2, 0.4), strict=True))


async def test_permanent_dies_at_once(queue: Queue, open_queue) -> None:
    async def handler(lease: Lease, ping: Ping) -> None:
        raise Permanent("nobody there")

    async with working(open_queue, kind(handler)):
        [job_id] = await put(queue, kind(handler))
        job = await ended(queue, job_id)
    assert (job.state, job.attempts, job.error) == (State.DEAD, 1, "Permanent: nobody there")


async def test_retry_after_waits_at_least_that_long(queue: Queue, open_queue) -> None:
    runs = []

    async def handler(lease: Lease, ping: Ping) -> None:
        runs.append(lease.attempt)
        if len(runs) == 1:
            raise RetryAfter(0.5, "greylisted")

    async with working(open_queue, kind(handler)):
        [job_id] = await put(queue, kind(handler))
        job = await ended(queue, job_id)
    first, second = (event.at for event in job.history if event.name == "claimed")
    assert second - first >= 500
    assert runs == [1, 1]  # put off, no attempt is spent


async def test_in_doubt_is_repeated_once(queue: Queue, open_queue) -> None:
    async def handler(lease: Lease, ping: Ping) -> None:
        await lease.commit()
        raise Uncertain("no reply after the dot")

    async with working(open_queue, kind(handler)):
        [job_id] = await put(queue, kind(handler))
        job = await ended(queue, job_id)
    assert (job.state, job.attempts) == (State.DEAD, 2)


async def test_a_blocked_loop_keeps_its_lease(queue: Queue, open_queue) -> None:
    runs = []

    async def handler(lease: Lease, ping: Ping) -> None:
        runs.append(lease.attempt)
        time.sleep(2.5)  # three leases

    async with working(open_queue, kind(handler)):
        [job_id] = await put(queue, kind(handler))
        await asyncio.sleep(0)
        job = await ended(queue, job_id)
    assert (job.state, job.crashes, runs) == (State.COMPLETED, 0, [1])


async def test_cancel_reaches_the_handler(queue: Queue, open_queue, valkey: ValkeyServer) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(lease: Lease, ping: Ping) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with working(open_queue, kind(handler)):
        [job_id] = await put(queue, kind(handler))
        await begun.wait()
        assert await queue.cancel([job_id]) == ["cancelled"]
        await asyncio.wait_for(cancelled.wait(), 5)


async def test_stop_lets_what_runs_finish(queue: Queue, open_queue) -> None:
    begun = asyncio.Event()

    async def handler(lease: Lease, ping: Ping) -> None:
        begun.set()
        await asyncio.sleep(0.3)

    async with working(open_queue, kind(handler)) as stop:
        [job_id] = await put(queue, kind(handler))
        await begun.wait()
        stop.set()
    job = await queue.show(job_id)
    assert job is not None
    assert job.state is State.COMPLETED


async def test_stop_gives_back_what_does_not_finish_and_spends_no_attempt(queue: Queue, open_queue) -> None:
    begun = asyncio.Event()

    async def handler(lease: Lease, ping: Ping) -> None:
        begun.set()
        await asyncio.sleep(60)

    async with working(open_queue, kind(handler), grace=0.1):
        [job_id] = await put(queue, kind(handler))
        await begun.wait()
    job = await queue.show(job_id)
    assert job is not None
    assert (job.state, job.attempts, job.crashes) == (State.ENQUEUED, 0, 0)


async def spoil(queue: Queue, job_id: str, payload: bytes) -> None:
    key = f"{queue.tag}:job:{job_id}"
    raw = await queue.link.client.get(key)
    kept = len(raw) - len(parse(raw).payload)
    await queue.link.client.set(key, raw[:kept] + payload)


async def test_an_unreadable_payload_goes_to_the_dead_and_the_loop_goes_on(queue: Queue, open_queue) -> None:
    async def handler(lease: Lease, ping: Ping) -> None:
        return None

    [bad, good] = await put(queue, kind(handler), 2)
    await spoil(queue, bad, kind(handler).encode(Ping())[:2] + b"junk")
    async with working(open_queue, kind(handler)):
        dead = await ended(queue, bad)
        done = await ended(queue, good)
    assert (dead.state, done.state) == (State.DEAD, State.COMPLETED)
    assert "does not fit ping" in (dead.error or "")


async def test_a_payload_of_another_version_is_parked_and_spends_no_attempt(queue: Queue, open_queue) -> None:
    async def handler(lease: Lease, ping: Ping) -> None:
        return None

    [job_id] = await put(queue, kind(handler))
    await spoil(queue, job_id, b"\x09newer")
    async with working(open_queue, kind(handler)):
        job = await ended(queue, job_id, State.RETRYING)
    assert (job.attempts, job.crashes) == (0, 0)
    assert "payload version 096e" in (job.error or "")
    assert job.due is not None


async def test_no_more_at_once_than_the_concurrency(queue: Queue, open_queue) -> None:
    now, most = 0, 0

    async def handler(lease: Lease, ping: Ping) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        now -= 1

    ids = await put(queue, kind(handler), 30)
    async with working(open_queue, kind(handler), concurrency=4):
        for job_id in ids:
            await ended(queue, job_id)
    assert most == 4


async def test_the_queue_away_and_back(own_valkey: ValkeyServer) -> None:
    async def handler(lease: Lease, ping: Ping) -> None:
        return None

    told = Told()
    queue = Queue(own_valkey.url, lease=5)
    async with working(lambda: Queue(own_valkey.url, lease=5), kind(handler), told=told):
        [first] = await put(queue, kind(handler))
        await ended(queue, first)
        own_valkey.kill()
        await eventually(lambda: "queue_away" in told.words())
        own_valkey.start()
        [second] = await put(queue, kind(handler))
        job = await ended(queue, second)
        kept = await queue.show(first)
    assert job.state is State.COMPLETED
    assert kept is not None  # AOF always: what was acknowledged is there after kill -9
    assert "queue_back" in told.words()
    await queue.close()


async def test_two_workers_share_the_work(queue: Queue, open_queue) -> None:
    async def handler(lease: Lease, ping: Ping) -> None:
        await asyncio.sleep(0.01)

    ids = await put(queue, kind(handler), 60)
    async with (
        working(open_queue, kind(handler), concurrency=2),
        working(open_queue, kind(handler), concurrency=2),
    ):
        jobs = [await ended(queue, job_id) for job_id in ids]
    workers = {event.worker for job in jobs for event in job.history if event.name == "claimed"}
    assert len(workers) == 2
    assert all(job.attempts == 1 for job in jobs)


async def test_a_worker_ends_though_a_cancellation_is_lost(open_queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the client may lose it, on Python 3.11."""
    swallowed: list[bool] = []

    async def ping(_queue: Queue) -> list[str]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            swallowed.append(True)
        return []

    monkeypatch.setattr(Queue, "ping", ping)
    stop = asyncio.Event()
    worker = Worker(open_queue, [Kind("ping", Ping)], concurrency=1, grace=0, tell=Told())
    running = asyncio.create_task(worker.run(stop, asyncio.Event()))
    await asyncio.sleep(0.2)
    stop.set()
    await asyncio.wait_for(running, 5)
    assert swallowed == [True]
