"""requeue, cancel, discard: what an operator does."""

import pytest

from tests.parts import Ping, put, take
from yellowbooks.jobs import Kind, LeaseLost, Queue, State
from yellowbooks.jobs.outcome import Completed, Dead


async def test_requeue_gives_all_attempts_again(queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await put(queue, ping)
    [lease] = await take(queue)
    await queue.settle(lease, Dead("boom"))
    assert await queue.requeue([job_id, "nobody"]) == ["requeued", "unknown"]
    assert await queue.requeue([job_id]) == ["not_dead"]
    job = await queue.show(job_id)
    assert job is not None
    assert (job.state, job.attempts, job.generation, job.error) == (State.ENQUEUED, 0, 2, None)
    [lease] = await take(queue)
    assert lease.attempt == 1
    assert await queue.settle(lease, Completed()) == "settled"


async def test_cancel_ends_what_waits_and_what_runs(queue: Queue, ping: Kind[Ping]) -> None:
    running, waiting = await put(queue, ping, 2)
    delayed, _ = await queue.admit(ping, Ping(user="x"), delay=60)
    [lease] = await take(queue, room=1)
    answers = await queue.cancel([running, waiting, delayed, "nobody"])
    assert answers == ["cancelled", "cancelled", "cancelled", "unknown"]
    assert await queue.cancel([waiting, running]) == ["ended", "ended"]
    assert await take(queue) == []
    with pytest.raises(LeaseLost):
        await lease.commit()
    assert await queue.renew([lease]) == ["lost"]
    assert await queue.settle(lease, Completed()) == "stale"


async def test_after_the_commit_it_is_too_late_to_cancel(queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await put(queue, ping)
    [lease] = await take(queue)
    await lease.commit()
    assert await queue.cancel([job_id]) == ["committed"]
    assert await queue.settle(lease, Completed()) == "settled"


async def test_discard_ends_a_dead_job(queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await put(queue, ping)
    assert await queue.discard([job_id]) == ["not_dead"]
    [lease] = await take(queue)
    await queue.settle(lease, Dead("boom"))
    assert await queue.discard([job_id, "nobody"]) == ["discarded", "unknown"]
    job = await queue.show(job_id)
    assert job is not None
    assert job.state is State.CANCELLED
    assert (await queue.dead(10))[2] == 0
