"""Who goes first, who waits for whom, and who may not go: lanes, fairness, keys, windows, quotas and gates."""

import asyncio
import time
from itertools import pairwise

import pytest

from tests.parts import Ping, Told, eventually, put, take
from yellowbooks.jobs import Kind, Lease, Paused, Queue, Rate, State, Worker
from yellowbooks.jobs.outcome import Completed, Retry

PING = Kind("ping", Ping)


async def notes(queue: Queue, kind: Kind[Ping] = PING, room: int = 100) -> list[str]:
    leases, _ = await queue.claim([kind], room)
    return [kind.decode(lease.payload).note for lease in leases]


async def test_a_lane_yields_to_the_lanes_above(queue: Queue) -> None:
    for lane in ("low", "normal", "high", "low", "high"):
        await queue.admit(PING, Ping(note=lane), lane=lane)
    assert await notes(queue, room=2) == ["high", "high"]
    assert await notes(queue) == ["normal", "low", "low"]


async def test_many_jobs_of_one_user_delay_anothers_first_by_one(queue: Queue) -> None:
    await queue.admit_many(PING, (Ping(user="heavy", note=f"heavy {n}") for n in range(10_000)))
    await queue.admit(PING, Ping(user="bat", note="bat 0"))
    await queue.admit(PING, Ping(user="bat", note="bat 1"))
    await queue.admit(PING, Ping(user="dorj", note="dorj 0"))
    assert await notes(queue, room=6) == ["heavy 0", "bat 0", "dorj 0", "heavy 1", "bat 1", "heavy 2"]
    await queue.admit(PING, Ping(user="new", note="new 0"))
    assert "new 0" in await notes(queue, room=3)


async def test_one_job_of_an_exclusive_key_runs_at_a_time(queue: Queue, open_queue) -> None:
    kind = Kind("ping", Ping, exclusive=True)
    ids = [(await queue.admit(kind, Ping(user="bat", note=str(n))))[0] for n in range(3)]
    await queue.admit(kind, Ping(user="dorj", note="dorj"))
    leases, _ = await queue.claim([kind], 10)
    assert [kind.decode(lease.payload).note for lease in leases] == ["0", "dorj"]
    assert await queue.cancel([ids[1]]) == ["cancelled"]
    assert (await queue.claim([kind], 10))[0] == []
    await queue.settle(leases[0], Retry(60, "later"))
    [following], _ = await queue.claim([kind], 10)
    assert following.job_id == ids[2]
    await asyncio.sleep(0.9)  # its worker is lost
    other = open_queue()
    again, _ = await other.claim([kind], 10)
    assert ids[2] in [lease.job_id for lease in again]
    await other.close()


async def test_a_unique_window_takes_one_job_a_key(queue: Queue) -> None:
    kind = Kind("ping", Ping, unique=1.0)
    first, _ = await queue.admit(kind, Ping(user="bat"))
    _, second = await queue.admit(kind, Ping(user="bat"))
    assert (second.word, second.first, second.state) == ("seen", first, State.ENQUEUED)
    assert (await queue.admit(kind, Ping(user="dorj")))[1].word == "admitted"
    await asyncio.sleep(1.05)
    assert (await queue.admit(kind, Ping(user="bat")))[1].word == "admitted"


async def test_a_quota_is_shared_by_all_workers(queue: Queue, open_queue) -> None:
    kind, other = Kind("ping", Ping, channel="mx", quota=Rate(5, 1.0)), open_queue()
    await put(queue, kind, 20)
    began = time.monotonic()
    first, wait = await queue.claim([kind], 10)
    assert len(first) == 5
    assert 0 < wait <= 0.2
    await asyncio.sleep(0.45)
    more = len((await other.claim([kind], 10))[0])
    assert 2 <= more <= (time.monotonic() - began) * 5
    await other.close()


async def test_an_operator_holds_a_kind_and_lets_it_go_at_a_pace(queue: Queue) -> None:
    ids = await put(queue, PING, 30)
    await queue.hold("ping", by="bat", reason="the template is wrong")
    assert await take(queue) == []
    assert (await queue.admit(PING, Ping()))[1].word == "admitted"
    assert await queue.unhold("ping", pace=10) == "open"
    began = time.monotonic()
    assert len(await take(queue, room=100)) == 10
    await asyncio.sleep(0.35)
    assert 2 <= len(await take(queue, room=100)) <= (time.monotonic() - began) * 10
    assert await queue.unhold("ping") == "open"
    assert await queue.unhold("ping") == "not_held"
    assert len(await take(queue, room=100)) > 0
    assert await take(queue, room=100) == []
    job = await queue.show(ids[0])
    assert job is not None
    assert job.attempts == 1


async def test_a_breaker_holds_a_channel_and_a_probe_opens_it(queue: Queue, open_queue) -> None:
    works, tried, probes = False, 0, []

    async def handler(lease: Lease, ping: Ping) -> None:
        nonlocal tried
        tried += 1
        if not works:
            probes.append(asyncio.get_running_loop().time())
            raise Paused("535 login refused", 0.3)

    kind, stop, told = Kind("ping", Ping, handler, channel="mx.example"), asyncio.Event(), Told()
    worker = Worker(open_queue, [kind], concurrency=1, grace=1, tell=told)
    running = asyncio.create_task(worker.run(stop, asyncio.Event()))
    ids = await put(queue, kind, 10)
    await eventually(lambda: len(probes) >= 3)
    assert "mx.example is held since" in await queue.explain(ids[-1])
    assert "535 login refused" in await queue.explain(ids[-1])
    works = True

    async def all_completed() -> bool:
        jobs = [await queue.show(job_id) for job_id in ids]
        return all(job is not None and job.state is State.COMPLETED for job in jobs)

    await eventually(all_completed)
    jobs = [await queue.show(job_id) for job_id in ids]
    assert all(job is not None and job.attempts == 1 for job in jobs)  # what was held spent nothing
    assert all(after - before >= 0.25 for before, after in pairwise(probes))
    stop.set()
    await running


async def test_a_lock_has_one_holder_and_its_token_grows(queue: Queue) -> None:
    first = await queue.lock("nightly", "a", 1)
    assert first > 0
    assert await queue.lock("nightly", "b", 1) == 0
    assert await queue.lock("nightly", "a", 1) == first
    await asyncio.sleep(1.05)
    assert await queue.lock("nightly", "b", 60) == first + 1
    assert await queue.unlock("nightly", "a") == "lost"
    assert await queue.unlock("nightly", "b") == "unlocked"
    assert await queue.lock("nightly", "a", 60) == first + 2
    await queue.link.client.delete(f"{queue.tag}:locks")  # as in a queue that was lost
    assert await queue.lock("nightly", "c", 60) > first + 2


async def test_many_are_admitted_in_order_and_each_is_answered(queue: Queue) -> None:
    kind = Kind("ping", Ping, rate=Rate(2, 3600))
    taken = await queue.admit_many(kind, (Ping(user=f"u{n // 3}", job_id=f"j{n}") for n in range(450)))
    assert [job_id for job_id, _ in taken] == [f"j{n}" for n in range(450)]
    assert [receipt.word for _, receipt in taken] == ["admitted", "admitted", "limited"] * 150
    survey = await queue.survey()
    assert survey.lines["ping:normal"].waiting == 300


async def test_the_oldest_job_is_found_behind_the_round_of_others(queue: Queue) -> None:
    await put(queue, PING, 1, user="heavy")
    await asyncio.sleep(1)
    await queue.admit_many(PING, (Ping(user="heavy") for _ in range(20)))
    await queue.admit(PING, Ping(user="bat"))
    survey = await queue.survey()
    assert (survey.lines["ping:normal"].oldest or 0) >= 1000
    [lease, *_] = await take(queue, room=2)
    survey = await queue.survey()
    assert (survey.lines["ping:normal"].oldest or 0) < 1000
    assert survey.processing == 2
    await queue.settle(lease, Completed())


@pytest.mark.parametrize("name", ["", "Ping", "a b", "x" * 65])
def test_a_kind_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a kind"):
        Kind(name, Ping)
