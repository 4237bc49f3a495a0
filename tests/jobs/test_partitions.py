"""A queue in partitions keeps the promises of one: on one server here, over the nodes of a cluster in the campaign."""

import asyncio
import statistics
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.conftest import ValkeyServer
from tests.parts import Ping, Told, check_consistent, eventually
from yellowbooks.jobs import Kind, Lease, Partitions, Permanent, Queue, Rate, State, Worker, WrongPartitions, agree
from yellowbooks.jobs.outcome import COMPLETED, Completed, Dead
from yellowbooks.jobs.partitions import home_of
from yellowbooks.jobs.turns import BLOCK_SECONDS

COUNT = 5
PING = Kind("ping", Ping, rate=Rate(3, 3600))


@pytest.fixture
async def queue(valkey: ValkeyServer, queue_name: str) -> AsyncIterator[Partitions]:
    queue = Partitions(valkey.url, COUNT, name=queue_name, lease=0.8)
    yield queue
    await queue.close()
    for part in queue.parts:
        check_consistent(valkey.url, part.tag)


async def drain(queue: Partitions, outcome: Completed | Dead = COMPLETED) -> list[Lease]:
    taken: list[Lease] = []
    for _ in range(3 * COUNT):
        leases, _ = await queue.claim([PING], 10)
        assert await queue.settle_many([(lease, outcome) for lease in leases]) == ["settled"] * len(leases)
        taken += leases
    return taken


async def test_jobs_are_spread_and_the_jobs_of_a_user_are_together_and_in_order(queue: Partitions) -> None:
    payloads = [Ping(user=f"user-{n % 20}", note=str(n)) for n in range(60)]
    receipts = await queue.admit_many(PING, payloads)
    assert [receipt.word for _, receipt in receipts] == ["admitted"] * 60
    sizes = Counter(home_of(job_id, COUNT) for job_id, _ in receipts)
    assert len(sizes) == COUNT
    assert all([await queue.parts[home_of(job_id, COUNT)].show(job_id) for job_id, _ in receipts])
    survey = await queue.survey()
    assert sum(line.waiting for line in dict(survey.lines).values()) == 60
    taken = [PING.decode(lease.payload) for lease in await drain(queue)]
    assert len(taken) == 60
    for n in range(20):
        assert [int(one.note) for one in taken if one.user == f"user-{n}"] == [n, n + 20, n + 40]


async def test_the_rate_of_a_user_holds(queue: Partitions) -> None:
    words = [(await queue.admit(PING, Ping(user="bat")))[1].word for _ in range(5)]
    assert words == ["admitted"] * 3 + ["limited"] * 2


async def test_an_id_is_one_job_whoever_comes_with_it(queue: Partitions) -> None:
    assert (await queue.admit(PING, Ping(job_id="a", user="u0")))[1].word == "admitted"
    for n in range(1, 20):
        _, receipt = await queue.admit(PING, Ping(job_id="a", user=f"u{n}"))
        assert (receipt.word, receipt.state, receipt.same) == ("seen", State.ENQUEUED, False)
    assert (await queue.admit(PING, Ping(job_id="a", user="u0")))[1].same
    many = await queue.admit_many(PING, [Ping(job_id="a", user="other"), Ping(job_id="b", user="other")])
    assert [(job_id, receipt.word) for job_id, receipt in many] == [("a", "seen"), ("b", "admitted")]


async def test_many_at_once_with_one_id(queue: Partitions) -> None:
    answers = await asyncio.gather(*(queue.admit(PING, Ping(job_id="a", user=f"u{n}")) for n in range(200)))
    assert Counter(receipt.word for _, receipt in answers) == {"admitted": 1, "seen": 199}


async def test_a_job_is_found_by_its_id_alone(queue: Partitions, valkey: ValkeyServer) -> None:
    given = [f"job-{n}" for n in range(10)]
    for n, job_id in enumerate(given):
        await queue.admit(PING, Ping(job_id=job_id, user=f"user-{n}"))
    made = [(await queue.admit(PING, Ping(user=f"user-{n}")))[0] for n in range(10)]
    client = valkey.client()
    for part in queue.parts:  # what was noted of an id ends some day
        client.delete(f"{part.tag}:named:job-0")
    client.close()
    for job_id in given + made:
        job = await queue.show(job_id)
        assert job is not None
        assert job.id == job_id
        assert "No worker" in await queue.explain(job_id)
    assert await queue.show("nobody") is None
    assert await queue.cancel([*given, "nobody", *made]) == ["cancelled"] * 10 + ["unknown"] + ["cancelled"] * 10


async def test_dead_letters_of_all_partitions_in_pages(queue: Partitions) -> None:
    ids = {job_id for job_id, _ in await queue.admit_many(PING, [Ping(user=f"user-{n}") for n in range(40)])}
    await drain(queue, Dead("it is broken", "broken"))
    found: list[str] = []
    died: list[int] = []
    cursor: str | None = None
    for _ in range(40):
        jobs, cursor, total = await queue.dead(7, cursor)
        assert total == 40
        found += [job.id for job in jobs]
        died += [job.ended or 0 for job in jobs]
        if cursor is None:
            break
    assert sorted(found) == sorted(ids)
    assert died == sorted(died, reverse=True)
    assert await queue.requeue(sorted(ids)[:20]) == ["requeued"] * 20
    assert await queue.discard(sorted(ids)[20:]) == ["discarded"] * 20


async def test_a_quota_is_shared_out(queue: Partitions) -> None:
    slow = Kind("ping", Ping, quota=Rate(10, 60))
    await queue.admit_many(slow, [Ping(user=f"user-{n}") for n in range(100)])
    taken = 0
    for _ in range(2 * COUNT):
        leases, _ = await queue.claim([slow], 100)
        await queue.release(leases[10:])
        taken += len(leases)
    assert taken == 10


async def test_a_worker_takes_from_all_wakes_at_once_and_keeps_its_leases(
    queue: Partitions, valkey: ValkeyServer, queue_name: str
) -> None:
    done: list[str] = []

    async def handle(lease: Lease, ping: Ping) -> None:
        await asyncio.sleep(1.5 if ping.note == "long" else 0)
        if ping.note == "bad":
            raise Permanent("no")
        await lease.commit()
        done.append(lease.job_id)

    kind, told, stop = Kind("ping", Ping, handle), Told(), asyncio.Event()
    worker = Worker(
        lambda: Partitions(valkey.url, COUNT, name=queue_name, lease=0.8), [kind], concurrency=50, grace=5, tell=told
    )
    running = asyncio.create_task(worker.run(stop, asyncio.Event()))

    async def registered() -> bool:
        return len(dict((await queue.survey()).workers)) == 1

    await eventually(registered)
    await asyncio.sleep(0.3)  # the worker is idle
    took: list[float] = []
    for n in range(COUNT * 4):
        began = asyncio.get_running_loop().time()
        job_id, _ = await queue.admit(kind, Ping(user=f"user-{n}"))
        await eventually(lambda: job_id in done)  # noqa: B023  awaited within this turn
        took.append(asyncio.get_running_loop().time() - began)
        await asyncio.sleep(0.02)
    assert statistics.median(took) < BLOCK_SECONDS / 4  # one that is not woken asks again after a block
    ids = [job_id for job_id, _ in await queue.admit_many(kind, [Ping(user=f"u{n}", note="long") for n in range(20)])]
    await eventually(lambda: set(ids) <= set(done))
    bad, _ = await queue.admit(kind, Ping(note="bad"))

    async def died() -> bool:
        return [job.id for job in (await queue.dead(9))[0]] == [bad]

    await eventually(died)
    stop.set()
    await running
    for job_id in ids:
        job = await queue.show(job_id)
        assert job is not None
        assert (job.state, job.crashes, job.attempts) == (State.COMPLETED, 0, 1)
    assert "lost" not in told.words()
    assert dict((await queue.survey()).workers) == {}


async def test_the_number_of_partitions_is_for_life(queue: Partitions, valkey: ValkeyServer, queue_name: str) -> None:
    await queue.admit(PING, Ping())
    other, one = Partitions(valkey.url, 3, name=queue_name), Queue(valkey.url, name=queue_name)
    one.link.before = lambda: agree(one, 1)
    for wrong in (other, one):
        with pytest.raises(WrongPartitions, match=r"has 5 partitions .* set YB_PARTITIONS=5"):
            await wrong.admit(PING, Ping(user="anna"))
        await wrong.close()
    lone = Queue(valkey.url, name=f"{queue_name}-lone")
    await lone.admit(PING, Ping())
    more = Partitions(valkey.url, 3, name=f"{queue_name}-lone")
    with pytest.raises(WrongPartitions, match="has 1 partitions"):
        await more.admit(PING, Ping(user="anna"))
    await more.close()
    await lone.close()


async def test_every_event_is_told_and_followed(queue: Partitions) -> None:
    heard: list[str] = []

    async def follow() -> None:
        async for event in queue.follow():
            heard.extend([event.job])

    following = asyncio.create_task(follow())
    await asyncio.sleep(0.2)
    ids = {job_id for job_id, _ in await queue.admit_many(PING, [Ping(user=f"user-{n}") for n in range(20)])}
    await eventually(lambda: set(heard) == ids)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    read = [event.job for part in queue.parts for event in await part.read(0.01)]
    assert sorted(read) == sorted(ids)
