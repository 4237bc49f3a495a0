"""settle, renew, commit and release: only the holder of the token may, and told twice it is done once."""

import asyncio

import pytest
from valkey import Valkey

from tests.conftest import ValkeyServer
from tests.parts import Ping, put, records, take
from yellowbooks.jobs import Kind, LeaseLost, Queue, State
from yellowbooks.jobs.outcome import Completed, Dead, Outcome, Retry


async def state_of(queue: Queue, job_id: str) -> State:
    job = await queue.show(job_id)
    assert job is not None
    return job.state


async def test_completed_and_told_twice(queue: Queue, ping: Kind[Ping], valkey: ValkeyServer) -> None:
    [job_id] = await put(queue, ping)
    [lease] = await take(queue)
    assert await queue.settle(lease, Completed()) == "settled"
    assert await queue.settle(lease, Completed()) == "already"
    assert await state_of(queue, job_id) is State.COMPLETED
    client = Valkey.from_url(valkey.url)
    assert records(client, queue.tag)[job_id].payload == b""  # no personal data after the work is done
    client.close()


@pytest.mark.parametrize("outcome", [Completed(), Retry(60, "e"), Dead("e")])
async def test_told_twice_in_one_call(queue: Queue, ping: Kind[Ping], outcome: Outcome) -> None:
    await put(queue, ping, 2)
    first, second = await take(queue)
    answers = await queue.settle_many([(first, outcome), (second, Completed()), (first, Completed()), (first, outcome)])
    assert answers == ["settled", "settled", "already", "already"]


async def test_an_id_that_stands_twice_in_a_line_is_leased_once(queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await put(queue, ping)
    await queue.link.client.rpush(f"{queue.tag}:enqueued:ping:1:0", job_id)
    assert [lease.job_id for lease in await take(queue)] == [job_id]
    await queue.link.client.hset(f"{queue.tag}:lines", "ping", bytes(54))


async def test_a_retry_waits_its_time_and_then_runs(queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await put(queue, ping)
    [lease] = await take(queue)
    await queue.settle(lease, Retry(0.2, "boom"))
    job = await queue.show(job_id)
    assert job is not None
    assert (job.state, job.error, job.attempts) == (State.RETRYING, "boom", 1)
    assert job.due is not None
    assert await take(queue) == []
    await asyncio.sleep(0.25)
    [again] = await take(queue)
    assert (again.job_id, again.attempt) == (job_id, 2)


async def test_dead_is_listed_newest_first_and_paged(queue: Queue, ping: Kind[Ping]) -> None:
    ids = await put(queue, ping, 5)
    for lease in await take(queue):
        await queue.settle(lease, Dead(f"boom {lease.job_id}"))
    page, cursor, count = await queue.dead(2)
    assert [job.id for job in page] == ids[:2:-1]
    assert count == 5
    rest, end, _ = await queue.dead(5, cursor)
    assert [job.id for job in rest] == ids[2::-1]
    assert end is None


async def test_the_old_owner_changes_nothing(queue: Queue, ping: Kind[Ping], open_queue) -> None:
    [job_id] = await put(queue, ping)
    [old] = await take(queue)
    await asyncio.sleep(0.85)
    other = open_queue()
    [new] = await take(other)
    assert new.token != old.token
    assert await queue.settle(old, Completed()) == "stale"
    assert await queue.settle(old, Retry(1, "late")) == "stale"
    assert await queue.release([old]) == ["stale"]
    assert await queue.renew([old]) == ["lost"]
    with pytest.raises(LeaseLost):
        await old.commit()
    assert await state_of(queue, job_id) is State.PROCESSING
    assert await other.settle(new, Completed()) == "settled"
    await other.close()


async def test_a_renewed_lease_does_not_expire(queue: Queue, ping: Kind[Ping], open_queue) -> None:
    await put(queue, ping)
    [lease] = await take(queue)
    other = open_queue()
    for _ in range(4):
        await asyncio.sleep(0.3)
        assert await queue.renew([lease]) == ["kept"]
        assert await take(other) == []
    await other.close()


async def test_release_gives_the_attempt_back_and_goes_first(queue: Queue, ping: Kind[Ping]) -> None:
    first, second = await put(queue, ping, 2)
    [lease] = await take(queue, room=1)
    assert await queue.release([lease]) == ["released"]
    job = await queue.show(first)
    assert job is not None
    assert (job.state, job.attempts) == (State.ENQUEUED, 0)
    assert [lease.job_id for lease in await take(queue)] == [first, second]


async def test_a_committed_job_is_not_released(queue: Queue, ping: Kind[Ping]) -> None:
    await put(queue, ping)
    [lease] = await take(queue)
    await lease.commit()
    assert await queue.release([lease]) == ["stale"]


async def test_lost_after_the_commit_is_repeated_once_and_then_left_to_a_person(queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await put(queue, ping)
    for uncertain in (0, 1):
        [lease] = await take(queue)
        assert lease.uncertain == uncertain
        await lease.commit()
        await asyncio.sleep(0.85)
    assert await take(queue) == []
    job = await queue.show(job_id)
    assert job is not None
    assert job.state is State.DEAD
    assert job.error is not None
    assert job.error.startswith("uncertain")


async def test_a_kind_that_holds_is_never_repeated_after_the_commit(queue: Queue) -> None:
    [job_id] = await put(queue, Kind("ping", Ping, doubt="hold"))
    [lease] = await take(queue)
    await lease.commit()
    await asyncio.sleep(0.85)
    assert await take(queue) == []
    assert await state_of(queue, job_id) is State.DEAD


async def test_many_settle_in_one_turn(queue: Queue, ping: Kind[Ping]) -> None:
    await put(queue, ping, 60)
    leases = await take(queue, room=100)
    answers = await asyncio.gather(*(queue.settle(lease, Completed()) for lease in leases))
    assert answers == ["settled"] * 60
