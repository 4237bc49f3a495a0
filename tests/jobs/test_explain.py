"""explain says what is so, in every state that a job can be in."""

import asyncio
import re
from datetime import datetime

from tests.parts import Ping, Told, eventually, put, take
from yellowbooks.jobs import Kind, Lease, Queue, Rate, State, Worker
from yellowbooks.jobs.outcome import Completed, Dead, Retry

PING = Kind("ping", Ping)


async def register(queue: Queue, *kinds: Kind[Ping]) -> None:
    await queue.renew([], worker="w1", kinds=kinds, about="host:1")


def time_in(sentence: str) -> float:
    found = re.findall(r"\d{4}-\d\d-\d\dT[\d:.]+Z", sentence)
    return datetime.fromisoformat(found[-1]).timestamp()


async def test_who_waits_for_whom(queue: Queue) -> None:
    [job_id] = await put(queue, PING)
    assert await queue.explain("nobody") == (
        "The queue does not know this job: it never came, or left when its retention was over; see the job log."
    )
    assert await queue.explain(job_id) == "No worker that runs now knows the kind ping; start one that does."
    await register(queue, PING)
    assert await queue.explain(job_id) == "It waits its turn in a line of 1; 1 worker(s) take its kind."
    await queue.hold("ping", by="bat", reason="a test")
    said = await queue.explain(job_id)
    assert said.startswith("ping is held since ")
    assert said.endswith("by bat (a test); it goes on when somebody lets it: unhold ping.")
    await queue.unhold("ping", pace=2)
    assert "after a hold, ping lets 2 jobs a second go" in await queue.explain(job_id)


async def test_times_are_those_at_which_it_happens(queue: Queue) -> None:
    job_id, _ = await queue.admit(PING, Ping(), delay=0.4)
    said = await queue.explain(job_id)
    assert said.startswith("It is scheduled: it may run at ")
    lease = await eventually(lambda: take(queue))
    job = await queue.show(job_id)
    assert job is not None
    assert 0 <= (job.started or 0) / 1000 - time_in(said) < 5
    await queue.settle(lease[0], Retry(0.3, "ValueError: x"))
    said = await queue.explain(job_id)
    assert said.startswith("Attempt 1 failed (ValueError: x); attempt 2 of 5 may start at ")
    [lease] = await eventually(lambda: take(queue))
    await queue.settle(lease, Retry(60, "greylisted", spent=False))
    assert (await queue.explain(job_id)).startswith("It was put off (greylisted), which spends no attempt; it is tried")


async def test_who_runs_it_and_how_it_ended(queue: Queue) -> None:
    done, dead, cancelled = await put(queue, PING, 3)
    leases = {lease.job_id: lease for lease in await take(queue, room=2)}
    said = await queue.explain(done)
    assert re.fullmatch(
        rf"Worker {re.escape(queue.id)} runs attempt 1 of 5 since \S+Z; unless it renews .* 0\.\d s, .*", said
    )
    await leases[done].commit()
    assert "and is past the point of no return" in await queue.explain(done)
    await queue.settle(leases[done], Completed())
    assert (await queue.explain(done)).startswith("It was completed by attempt 1 at ")
    await queue.settle(leases[dead], Dead("boom"))
    assert re.fullmatch(r"It is dead since \S+Z \(boom\); requeue it, or discard it\.", await queue.explain(dead))
    await queue.discard([dead])
    assert (await queue.explain(dead)).startswith("It was discarded at ")
    await queue.cancel([cancelled])
    assert (await queue.explain(cancelled)).startswith("It was cancelled at ")


async def test_quotas_and_exclusive_keys(queue: Queue) -> None:
    limited = Kind("ping", Ping, quota=Rate(1, 1.0))
    await register(queue, limited)
    _, second = await put(queue, limited, 2)
    await queue.claim([limited], 5)
    said = await queue.explain(second)
    assert said.startswith("The quota of ping is used up; its next slot opens at ")
    [lease] = await eventually(lambda: _claim(queue, limited))
    assert 0 <= lease.started / 1000 - time_in(said) < 5
    alone = Kind("alone", Ping, exclusive=True)
    await register(queue, alone)
    runs, waits = await put(queue, alone, 2, user="bat")
    await queue.claim([alone], 5)
    assert await queue.explain(waits) == f"It waits for job {runs} of the same key, as one of them runs at a time."


async def _claim(queue: Queue, kind: Kind[Ping]) -> list[Lease]:
    return (await queue.claim([kind], 5))[0]


async def test_a_worker_registers_and_leaves(queue: Queue, open_queue) -> None:
    async def handler(lease: Lease, ping: Ping) -> None:
        return None

    kind, stop = Kind("ping", Ping, handler), asyncio.Event()
    worker = Worker(open_queue, [kind], concurrency=2, grace=1, tell=Told())
    running = asyncio.create_task(worker.run(stop, asyncio.Event()))

    async def registered() -> bool:
        return worker.id in (await queue.survey()).workers

    await eventually(registered)
    assert (await queue.survey()).workers[worker.id].kinds[0].name == "ping"
    assert worker.stalled() is None
    worker._asked -= 40
    assert "no claim was answered for 4" in (worker.stalled() or "")
    worker._away = 1.0  # the queue is: that is no fault of the worker's
    assert worker.stalled() is None
    worker._away = 0.0
    stop.set()
    await running
    assert not await registered()
    [job_id] = await put(queue, kind)
    assert (await queue.explain(job_id)).startswith("No worker that runs now knows the kind ping")
    assert await queue.show(job_id)
    assert (await queue.cancel([job_id])) == ["cancelled"]
    assert (await queue.show(job_id) or State.DEAD) is not State.DEAD
