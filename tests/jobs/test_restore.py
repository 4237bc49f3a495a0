"""Jobs that the queue lost come back, each where it stood; what may have begun is in doubt."""

from dataclasses import replace

from tests.parts import Ping, check_consistent, put, take
from yellowbooks.jobs import Job, Kind, Partitions, Queue, State, bring_back, know_again, note_partitions
from yellowbooks.jobs.outcome import Completed, Dead, Retry
from yellowbooks.jobs.standing import standing

Kept = dict[str, tuple[Job, bytes]]


async def kept(queue: Queue) -> Kept:
    """What a log would have of all jobs."""
    return {one.job.id: (one.job, one.body or b"") async for page in standing(queue, sealed=False) for one in page}


async def lose(queue: Queue) -> None:
    client = queue.link.client
    keys = [key async for key in client.scan_iter(f"{queue.tag}:*", count=10_000)]
    await client.delete(*keys)


async def test_each_comes_back_where_it_stood(queue: Queue, ping: Kind[Ping]) -> None:
    waits, runs, fails, dies = await put(queue, ping, 4)
    [later] = await put(queue, ping, user="later")
    await queue.cancel([later])
    _, receipt = await queue.admit(ping, Ping(job_id="timed", user="x"), delay=3600)
    assert receipt.word == "admitted"
    leases = {lease.job_id: lease for lease in await take(queue)}
    await queue.release([leases[waits]])
    await queue.settle(leases[fails], Retry(600.0, "no luck", "luck"))
    await queue.settle(leases[dies], Dead("boom", "boom"))
    before = await kept(queue)
    await lose(queue)
    lost = [pair for pair in before.values() if pair[1]]
    assert {job.id for job, _ in lost} == {waits, runs, fails, dies, "timed"}
    assert set(await bring_back(queue, lost, {}, 0)) == {"restored"}
    assert set(await bring_back(queue, lost, {}, 0)) == {"there"}  # told twice, it is once
    found = await kept(queue)
    states = {job_id: job.state for job_id, (job, _) in found.items()}
    assert states == {
        waits: State.ENQUEUED, runs: State.ENQUEUED, fails: State.RETRYING, dies: State.DEAD, "timed": State.SCHEDULED,
    }  # fmt: skip
    for job_id, (job, body) in found.items():
        was = before[job_id][0]
        assert body == before[job_id][1]
        assert (job.created, job.max_attempts, job.generation) == (was.created, was.max_attempts, was.generation)
        told = [(event.name, event.at, event.error) for event in was.history]
        assert [(event.name, event.at, event.error) for event in job.history][: len(told)] == told
    assert {job_id: job.attempts for job_id, (job, _) in found.items()} == {
        waits: 0, runs: 0, fails: 1, dies: 1, "timed": 0,
    }  # fmt: skip
    assert found[fails][0].due == before[fails][0].due
    assert found[dies][0].error == "boom"
    jobs, _, count = await queue.dead(10)
    assert [job.id for job in jobs] == [dies]
    assert count == 1
    again = {lease.job_id: lease for lease in await take(queue)}
    assert {job_id: lease.uncertain for job_id, lease in again.items()} == {waits: 1, runs: 1}
    assert "lost" in (await queue.show(runs)).error  # type: ignore[union-attr, operator]
    assert await queue.settle(leases[runs], Completed()) == "stale"  # the one from before does no harm
    assert await queue.settle(again[runs], Completed()) == "settled"
    assert await queue.requeue([dies]) == ["requeued"]


async def test_what_may_not_run_twice_waits_for_a_person_unless_it_cannot_have_begun(
    queue: Queue, ping: Kind[Ping]
) -> None:
    once = replace(ping, doubt="hold")
    [job_id] = await put(queue, once)
    await queue.admit(once, Ping(job_id="timed", user="x"), delay=3600)
    before = await kept(queue)
    await lose(queue)
    answers = dict(zip(before, await bring_back(queue, list(before.values()), {}, 0), strict=True))
    assert answers == {job_id: "held", "timed": "restored"}
    job = await queue.show(job_id)
    assert job is not None
    assert (job.state, job.cause) == (State.DEAD, "uncertain")
    assert job.error
    assert "nobody knows" in job.error


async def test_ids_windows_and_positions_go_on(queue: Queue, ping: Kind[Ping]) -> None:
    unique = replace(ping, unique=600.0, rate=None)
    [job_id] = await put(queue, unique)
    await queue.admit(Kind("ping", Ping), Ping(job_id="done"))
    for lease in await take(queue):
        if lease.job_id == "done":
            await queue.settle(lease, Completed())
    newest = (await queue.read(0.01))[-1].at
    before = await kept(queue)
    await lose(queue)
    hour = 3_600_000
    await bring_back(queue, [before[job_id]], {"ping": 600.0}, newest + hour)
    assert await know_again(queue, [(newest, "done"), (newest, job_id)]) == ["known", "there"]
    assert (await queue.admit(Kind("ping", Ping), Ping(job_id="done")))[1].word == "seen"
    _, receipt = await queue.admit(unique, Ping(user="user-0"))
    assert (receipt.word, receipt.first) == ("seen", job_id)
    assert (await queue.read(0.01))[-1].at > newest + hour  # the log passes over what is not newer than it has


async def test_turns_are_fair_again(queue: Queue) -> None:
    kind = Kind("ping", Ping)
    many = await put(queue, kind, 5, user="many")
    [one] = await put(queue, kind, user="one")
    before = await kept(queue)
    await lose(queue)
    await bring_back(queue, [before[job_id] for job_id in (*many, one)], {}, 0)
    assert [lease.job_id for lease in await take(queue, room=2)] == [many[0], one]


async def test_partitions_get_back_their_own(valkey, queue_name: str, ping: Kind[Ping]) -> None:
    queue = Partitions(valkey.url, 4, name=queue_name)
    ids = await put(queue, ping, 8)
    await queue.admit(ping, Ping(user="user-3", job_id="named"))
    await queue.admit(Kind("ping", Ping), Ping(user="nobody", job_id="ended"))
    before: Kept = {}
    for part in queue.parts:
        before |= await kept(part)
        await lose(part)
    ended = before.pop("ended")[0]
    await queue.close()
    queue = Partitions(valkey.url, 4, name=queue_name)
    await queue.parts[0].link.client.set(f"{queue.parts[0].tag}:clock", "")  # somebody wrote meanwhile
    await note_partitions(queue)
    assert set(await bring_back(queue, list(before.values()), {}, 0)) == {"restored"}
    assert await know_again(queue, [(ended.created, "ended")]) == ["known"]
    for job_id in (*ids, "named"):
        assert await queue.show(job_id) is not None
    for user in ("user-3", "user-4"):
        assert (await queue.admit(ping, Ping(user=user, job_id="named")))[1].word == "seen"
        assert (await queue.admit(ping, Ping(user=user, job_id="ended")))[1].word == "seen"
    leases, _ = await queue.claim([ping], 20)
    assert {lease.job_id for lease in leases} == {*ids, "named"}
    for part in queue.parts:
        check_consistent(valkey.url, part.tag)
    await queue.close()


async def test_what_is_no_body_is_left_out(queue: Queue, ping: Kind[Ping]) -> None:
    [job_id] = await put(queue, ping)
    job, _ = (await kept(queue))[job_id]
    await lose(queue)
    assert (
        await bring_back(queue, [(job, bytes(3)), (job, bytes(12)), (job, bytes(12) + b"\xff")], {}, 0)
        == ["unreadable"] * 3
    )
    assert await queue.show(job_id) is None
