"""claim: leases, promotion of what is due, and reaping of what expired."""

import asyncio

from valkey import Valkey

from tests.conftest import ValkeyServer
from tests.parts import Ping, put, shift_clock, take
from yellowbooks.jobs import Kind, Queue, State


async def test_first_in_first_out(queue: Queue, ping: Kind[Ping]) -> None:
    ids = await put(queue, ping, 5)
    assert [lease.job_id for lease in await take(queue, room=3)] == ids[:3]
    assert [lease.job_id for lease in await take(queue, room=3)] == ids[3:]


async def test_a_claimed_job_is_processing_and_counts_the_attempt(queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await put(queue, ping)
    [lease] = await take(queue)
    job = await queue.show(job_id)
    assert job is not None
    assert (job.state, job.attempts, lease.attempt) == (State.PROCESSING, 1, 1)
    assert job.started is not None
    assert ping.decode(lease.payload).user == "user-0"


async def test_a_kind_that_this_worker_does_not_know_waits(queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await put(queue, ping)
    assert await take(queue, "other") == []
    job = await queue.show(job_id)
    assert job is not None
    assert (job.state, job.attempts) == (State.ENQUEUED, 0)


async def test_a_flood_of_one_kind_leaves_room_for_another(queue: Queue, ping: Kind[Ping]) -> None:
    await put(queue, ping, 50)
    [other] = await put(queue, Kind("pong", Ping))
    assert other in [lease.job_id for lease in await take(queue, "ping", "pong", room=4)]


async def test_two_workers_never_hold_one_job(queue: Queue, ping: Kind[Ping], open_queue) -> None:
    await put(queue, ping, 40)
    second = open_queue()
    taken = await asyncio.gather(*(take(q, room=7) for q in (queue, second) * 4))
    ids = [lease.job_id for leases in taken for lease in leases]
    assert len(ids) == len(set(ids)) == 40
    await second.close()


async def test_a_lost_reply_is_given_again(queue: Queue, ping: Kind[Ping]) -> None:
    await put(queue, ping, 3)
    first = await take(queue, room=2)
    queue._claims -= 1  # as if no answer had come
    again = await take(queue, room=2)
    assert [(lease.job_id, lease.token, lease.attempt, lease.started, lease.payload) for lease in first] == [
        (lease.job_id, lease.token, lease.attempt, lease.started, lease.payload) for lease in again
    ]
    assert len(await take(queue)) == 1


async def test_an_expired_lease_goes_to_another_worker_and_is_a_crash(
    queue: Queue, ping: Kind[Ping], open_queue
) -> None:
    [job_id] = await put(queue, ping)
    await take(queue)
    second = open_queue()
    assert await take(second) == []
    await asyncio.sleep(0.85)
    [lease] = await take(second)
    job = await queue.show(job_id)
    assert job is not None
    assert (lease.job_id, lease.attempt, job.crashes) == (job_id, 1, 1)
    assert [event.name for event in job.history] == ["admitted", "claimed", "crashed", "claimed"]
    await second.close()


async def test_the_third_crash_is_poison(queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await put(queue, ping)
    for _ in range(3):
        assert len(await take(queue)) == 1
        await asyncio.sleep(0.85)
    assert await take(queue) == []
    job = await queue.show(job_id)
    assert job is not None
    assert job.state is State.DEAD
    assert job.error is not None
    assert job.error.startswith("poison: 3 workers were lost")


async def test_a_jump_of_the_wall_clock_expires_no_lease(queue: Queue, ping: Kind[Ping], valkey: ValkeyServer) -> None:
    patient = Queue(valkey.url, name=queue.tag[4:-3], lease=10)
    client = Valkey.from_url(valkey.url)
    await put(queue, ping)
    [lease] = await take(patient)
    shift_clock(client, queue.tag, wall=-3_600_000)  # as if the clock had jumped an hour ahead
    assert await take(patient) == []
    assert await patient.renew([lease]) == ["kept"]
    shift_clock(client, queue.tag, wall=7_200_000)  # and now an hour back
    assert await take(patient) == []
    assert await patient.renew([lease]) == ["kept"]
    client.close()
    await patient.close()


async def test_a_record_without_its_hash_is_passed_over(queue: Queue, ping: Kind[Ping], valkey: ValkeyServer) -> None:
    lost, kept = await put(queue, ping, 2)
    client = Valkey.from_url(valkey.url)
    client.delete(f"{queue.tag}:job:{lost}")
    client.close()
    assert [lease.job_id for lease in await take(queue)] == [kept]


async def test_an_idle_worker_wakes_at_once(queue: Queue, ping: Kind[Ping], open_queue) -> None:
    other = open_queue()
    waiting = asyncio.create_task(other.wait(["ping"], 5))
    await asyncio.sleep(0.1)
    began = asyncio.get_running_loop().time()
    await put(queue, ping)
    await waiting
    assert asyncio.get_running_loop().time() - began < 0.5
    await other.close()
