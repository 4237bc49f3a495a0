"""Dead letters in groups: counted and listed without reading the others, and right whoever changed them."""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.conftest import ValkeyServer
from tests.parts import Ping, check_consistent, check_groups, eventually, put, take
from yellowbooks.jobs import Job, Kind, Lease, Partitions, Permanent, Queue, Recovery, RetryAfter, State, Wanted
from yellowbooks.jobs import dead_letters as module
from yellowbooks.jobs.dead_letters import causes, find, page_of, recover, tally
from yellowbooks.jobs.outcome import Dead, Retry
from yellowbooks.jobs.simulated import Simulation
from yellowbooks.jobs.verbs import VERBS

PING, PONG = Kind("ping", Ping), Kind("pong", Ping)
CAUSES = ("mx.a:rcpt:550", "mx.a:rcpt:552", "mx.b:connect:refused")
WANTED = [
    Wanted(), Wanted(kind="pong"), Wanted(cause="mx.a"), Wanted(cause_is=CAUSES[1]), Wanted(release="2"),
    Wanted(release=""), Wanted(cause=("mx.a:rcpt:55", "mx.b")), Wanted(kind="ping", cause="mx", error="number 3"),
    Wanted(error="NUMBER 1"), Wanted(cause="nobody"), Wanted(kind="nobody", error="number"),
]  # fmt: skip


@pytest.fixture(params=[1, 3])
async def some(request: pytest.FixtureRequest, valkey: ValkeyServer, queue_name: str) -> AsyncIterator[Queue]:
    """A queue, and one in partitions, with dead jobs of two kinds, three causes and two releases."""
    queues = [
        Partitions(valkey.url, request.param, name=queue_name, release=release)
        if request.param > 1
        else Queue(valkey.url, name=queue_name, release=release)
        for release in ("2", None)
    ]
    for n in range(60):
        await bury(queues[n % 7 == 0], PONG if n % 5 == 0 else PING, CAUSES[n % 4 % 3], f"number {n}", f"u{n}")
    yield queues[0]
    for queue in queues:
        await queue.close()
    for part in getattr(queues[0], "parts", queues[:1]):
        check_consistent(valkey.url, part.tag)


async def bury(queue: Queue, kind: Kind[Ping], cause: str, error: str = "e", user: str = "bat") -> str:
    job_id, _ = await queue.admit(kind, Ping(user=user))
    leases: list[Lease] = []
    while not leases:  # of partitions, each in its turn
        leases, _ = await queue.claim([kind.name], 1)
    assert [lease.job_id for lease in leases] == [job_id]
    await queue.settle(leases[0], Dead(error, cause))
    return job_id


async def every(queue: Queue) -> list[Job]:
    return (await queue.dead(10_000))[0]


def ages(jobs: list[Job]) -> list[int]:
    return [job.ended or 0 for job in jobs]


async def agree(queue: Queue, wanted: Wanted) -> None:
    """What the groups say is what reading every job says."""
    right = [job for job in await every(queue) if wanted.fits(job)]
    found = [job async for job in find(queue, wanted, page=7)]
    assert sorted(job.id for job in found) == sorted(job.id for job in right)
    assert ages(found) == ages(right)
    counts = Counter((job.kind, job.cause or "", (job.failed and job.failed.release) or "") for job in right)
    listed = await causes(queue, wanted)
    assert {tuple(one.fingerprint): one.count for one in listed} == counts
    assert [one.count for one in listed] == sorted(counts.values(), reverse=True)
    assert await tally(queue, wanted) == (len(right), max(ages(right), default=0))
    paged: list[Job] = []
    cursor: str | None = None
    while True:
        page, cursor, total = await page_of(queue, 4, cursor, wanted)
        assert total == len(right) or wanted == Wanted()
        paged += page
        if cursor is None:
            break
        assert len(page) >= 4
    assert sorted(job.id for job in paged) == sorted(job.id for job in right)
    assert ages(paged) == ages(right)


async def test_what_the_groups_say_is_what_the_jobs_say(some: Queue) -> None:
    for wanted in WANTED:
        await agree(some, wanted)
    jobs = await every(some)
    middle = jobs[30].ended
    for wanted in (Wanted(cause="mx.a", died_after=middle), Wanted(kind="ping", died_before=middle),
                   Wanted(died_after=middle), Wanted(error="number", died_before=middle)):  # fmt: skip
        await agree(some, wanted)
    await some.requeue([job.id for job in jobs[::3]])
    await some.discard([job.id for job in jobs[1::3]])
    for wanted in WANTED:
        await agree(some, wanted)


async def test_many_groups_are_not_read_side_by_side(some: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LINES", 1)
    for wanted in WANTED:
        await agree(some, wanted)


async def test_counting_reads_no_job_and_a_list_reads_its_own(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [await bury(queue, PING, CAUSES[n % 3 != 0]) for n in range(30)]
    read: list[str] = []
    shown = Queue.shown

    async def counted(queue: Queue, job_ids: list[str]) -> list[Job | None]:
        read.extend(job_ids)
        return await shown(queue, job_ids)

    monkeypatch.setattr(Queue, "shown", counted)
    assert [one.count for one in await causes(queue)] == [20, 10]
    assert await tally(queue, Wanted(kind="ping", died_before=10**15)) == (30, (await causes(queue))[0].newest)
    assert read == []
    jobs, cursor, total = await page_of(queue, 3, None, Wanted(cause_is=CAUSES[0]))
    assert total == 10
    assert cursor
    assert [job.id for job in jobs] == ids[::-1][2::3][:3]
    assert set(read) <= set(ids[::3])
    assert len(read) <= 8


async def test_a_job_that_dies_again_is_in_the_group_of_its_last_death(queue: Queue, valkey: ValkeyServer) -> None:
    job_id = await bury(queue, PING, "a")
    await queue.edit(PING, job_id, Ping(note="mended"))
    client = valkey.client()
    check_groups(client, queue.tag)
    client.close()
    assert [(one.fingerprint.cause, one.count) for one in await causes(queue)] == [("a", 1)]
    await queue.requeue([job_id])
    assert await causes(queue) == []
    [lease] = await take(queue)
    await queue.settle(lease, Dead("e", "b"))
    assert [(one.fingerprint.cause, one.count) for one in await causes(queue)] == [("b", 1)]


async def test_one_that_dies_of_something_else_meanwhile_is_not_taken_for_what_it_was(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await bury(queue, PING, "a")
    buried = Queue.buried

    async def and_then(queue: Queue, count: int, **options: Any) -> list[tuple[int, str]]:
        found = await buried(queue, count, **options)
        await asyncio.sleep(0.002)
        await queue.requeue([job_id])
        for lease in await take(queue):
            await queue.settle(lease, Dead("e", "b"))
        return found

    monkeypatch.setattr(Queue, "buried", and_then)
    assert [job async for job in find(queue, Wanted(cause="a"))] == []
    assert [job.id async for job in find(queue, Wanted(error="e"))] == [job_id]


NO_GROUPS = (
    ("local function leave_group(id)\n", "local function leave_group(id)\n  do return end\n"),
    ("local function join_group(id, place, fingerprint)\n", "local function join_group()\n  do return end\n"),
    ("  call('HSET', causes_key, fingerprint, names)\n", ""),
)


@pytest.fixture
def turn(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Makes the scripts those of a version that knows of no groups (True), or of this one again."""
    versions = {}
    for name in ("settle", "claim", "requeue", "discard", "edit", "recorded"):
        text = VERBS[name].text
        for ours, theirs in NO_GROUPS:
            assert text.count(ours) == 1
            text = text.replace(ours, theirs)
        versions[name] = [VERBS[name].text, text]

    def to(older: bool) -> None:
        for name, texts in versions.items():
            text = texts[older]
            monkeypatch.setattr(VERBS[name], "text", text)
            monkeypatch.setattr(VERBS[name], "sha", hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())

    return to


async def test_what_an_older_version_buried_is_counted(
    queue: Queue, turn: Callable[[bool], None], valkey: ValkeyServer
) -> None:
    turn(True)
    ids = [job_id for job_id, _ in await queue.admit_many(PING, [Ping(user=f"u{n}") for n in range(1200)])]
    order = {job_id: n for n, job_id in enumerate(ids)}
    while leases := await take(queue, room=100):
        await queue.settle_many([(one, Dead("e", CAUSES[order[one.job_id] % 3])) for one in leases])
    released = Queue(valkey.url, name=queue.tag[4:-3], release="9")
    client = valkey.client()
    assert not client.exists(f"{queue.tag}:died")
    turn(False)
    ids.append(await bury(queue, PING, CAUSES[0]))
    assert sorted(one.count for one in await causes(queue)) == [400, 400, 401]
    turn(True)
    await queue.requeue(ids[2:3])
    [lease] = await take(released)
    await released.settle(lease, Dead("e", CAUSES[0]))
    turn(False)
    found = {one.fingerprint[1:]: one.count for one in await causes(queue)}
    assert found == {(CAUSES[0], ""): 401, (CAUSES[0], "9"): 1, (CAUSES[1], ""): 400, (CAUSES[2], ""): 399}
    await released.close()
    assert [job.id async for job in find(queue, Wanted(cause_is=CAUSES[1]))] == ids[:1200][1::3][::-1]
    check_groups(client, queue.tag)
    turn(True)
    assert set(await queue.discard(ids[:1000])) == {"discarded"}
    turn(False)
    assert sum(one.count for one in await causes(queue)) == 201
    check_groups(client, queue.tag)
    client.close()


@pytest.mark.parametrize("seed", range(4))
async def test_two_versions_side_by_side(
    queue: Queue, turn: Callable[[bool], None], valkey: ValkeyServer, seed: int
) -> None:
    """Whatever either of them does in whatever order, what is asked afterwards is right."""
    dice, client = random.Random(seed), valkey.client()
    ids = await put(queue, PING, 12)
    for step in range(150):
        turn(dice.random() < 0.5)
        job_id = dice.choice(ids)
        match dice.choice(["requeue", "requeue", "die", "die", "die", "edit"]):
            case "requeue":
                await queue.requeue([job_id])
            case "edit":
                await queue.edit(PING, job_id, Ping(note=str(step)))
            case "die":
                for lease in await take(queue, room=dice.randint(1, 3)):
                    await queue.settle(lease, Dead("e", dice.choice("abc")))
        if dice.random() < 0.2:
            await agree(queue, Wanted(cause="b"))
            await agree(queue, Wanted())
    turn(False)
    await queue.discard(ids[:3])
    await agree(queue, Wanted(cause_is="a"))
    check_groups(client, queue.tag)
    client.close()


async def test_an_index_that_lacks_what_it_passed_is_made_whole(queue: Queue, valkey: ValkeyServer) -> None:
    """As after a clock that was lost and went back: a death stands below the place that was compared."""
    ids = [await bury(queue, PING, "a") for _ in range(3)]
    await causes(queue)
    client = valkey.client()
    [group] = client.hkeys(f"{queue.tag}:causes")
    client.hdel(f"{queue.tag}:died", ids[1])
    client.zrem(f"{queue.tag}:died:{group.decode()}", ids[1])
    assert [one.count for one in await causes(queue)] == [3]
    client.close()


async def test_what_cannot_be_read_is_in_no_group_and_hides_nothing(queue: Queue, valkey: ValkeyServer) -> None:
    job_id = await bury(queue, PING, "a")
    client = valkey.client()
    place = int(client.zscore(f"{queue.tag}:dead", job_id) or 0)
    junk = {
        "gone": None,
        "junk": b"junk",
        "newer": b"\x09" + bytes(200),
        "alive": client.get(f"{queue.tag}:job:{job_id}"),
    }
    for n, (name, raw) in enumerate(junk.items()):
        client.zadd(f"{queue.tag}:dead", {name: place + n - 1})
        if raw:
            client.set(f"{queue.tag}:job:{name}", raw.replace(b"\x06", b"\x02", 1) if name == "alive" else raw)
    client.rpush(f"{queue.tag}:story:newer", "a list")
    assert [one.count for one in await causes(queue)] == [1]
    assert [job.id async for job in find(queue, Wanted(cause="a"))] == [job_id]
    assert (await queue.dead(10))[2] == 5
    brief = Queue(valkey.url, name=queue.tag[4:-3], dead_retention=0.0)
    events = await queue.read(1)
    client.delete(*(f"{queue.tag}:{part}:{name}" for part in ("job", "story") for name in junk))
    assert await eventually(lambda: brief.recorded(events[-1].position)) == 5
    await brief.close()
    check_groups(client, queue.tag)
    client.close()


async def test_a_history_that_is_full_has_room_for_what_a_job_died_of(queue: Queue) -> None:
    [job_id] = await put(queue, PING)
    for n in range(2):
        for _ in range(60):
            [lease] = await take(queue)
            await queue.settle(lease, Retry(0.0, "put off " * 60, "later", spent=False))
            await take(queue, "other")  # what is due is promoted
        [lease] = await take(queue)
        await queue.settle(lease, Dead("no", f"final {n}"))
        job = await queue.show(job_id)
        assert job
        assert (job.error, job.cause) == ("no", f"final {n}")
        await queue.requeue([job_id] if n == 0 else [])


async def test_recovery_reads_each_of_the_dead_once(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    recovery, looked = Recovery(("mx.b", "mx.c"), pace=1000.0, times=1), dict[str, int]()
    for _ in range(8):
        await bury(queue, PING, CAUSES[0])
    lost = [await bury(queue, PING, CAUSES[2]) for _ in range(5)]
    read: list[str] = []
    shown = Queue.shown

    async def counted(queue: Queue, job_ids: list[str]) -> list[Job | None]:
        read.extend(job_ids)
        return await shown(queue, job_ids)

    monkeypatch.setattr(Queue, "shown", counted)
    assert await recover(queue, "pong", recovery, looked) == 0
    assert await recover(queue, "ping", recovery, looked) == 5
    assert sorted(read) == sorted(lost)
    for _ in lost:
        [lease] = await eventually(lambda: take(queue, room=1))
        await asyncio.sleep(0.002)
        await queue.settle(lease, Dead("e", CAUSES[2]))
    read.clear()
    assert await recover(queue, "ping", recovery, looked) == 0
    assert len(read) == 5
    read.clear()
    assert await recover(queue, "ping", recovery, looked) == 0
    assert len(read) <= 1  # of the newest millisecond
    fresh = await bury(queue, PING, CAUSES[2])
    assert await recover(queue, "ping", recovery, looked) == 1
    job = await queue.show(fresh)
    assert job
    assert job.state is not State.DEAD


async def test_groups_in_a_simulation() -> None:
    deferred: list[str] = []

    async def handler(lease: Lease, ping: Ping) -> None:
        if ping.note == "c" and not deferred:
            deferred.append(lease.job_id)
            raise RetryAfter(5, "not now")
        raise Permanent("no", cause=ping.note)

    kind = Kind("ping", Ping, handler)
    simulation = Simulation(kind)
    for note in ("a", "b", "c", "a"):
        await simulation.queue.admit(kind, Ping(note=note))
    await simulation.advance("1m")
    found = await causes(simulation.queue)
    assert [(one.fingerprint.cause, one.count) for one in found] == [("a", 2), ("c", 1), ("b", 1)]
    jobs = [job async for job in find(simulation.queue, Wanted(cause_is="a"))]
    assert await simulation.queue.discard([job.id for job in jobs]) == ["discarded"] * 2
    assert [one.count for one in await causes(simulation.queue)] == [1, 1]
