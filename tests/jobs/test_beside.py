"""What goes on beside the queue: schedules, dead letters in numbers, recovery, time limits, threads, notes."""

import asyncio
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from tests.parts import Ping, Told, eventually, put, take
from yellowbooks.jobs import Backoff, Event, Job, Kind, Lease, Queue, Recovery, Schedule, State, ThreadLease, Worker
from yellowbooks.jobs.dead_letters import Wanted, causes, find, recover
from yellowbooks.jobs.outcome import Completed, Dead
from yellowbooks.jobs.schedule import tick
from yellowbooks.jobs.simulated import Simulation

PING = Kind("ping", Ping)


def hourly(kind: Kind[Ping] = PING) -> Schedule:
    return Schedule("report", "0 * * * *", kind, lambda at: Ping(note=f"{at:%d %H:%M}"), "Asia/Ulaanbaatar")


async def test_each_firing_is_one_job_over_many_workers_and_none_is_lost_over_a_rest() -> None:
    ran: list[str] = []

    async def handler(lease: Lease, ping: Ping) -> None:
        ran.append(ping.note)

    kind = Kind("ping", Ping, handler)
    simulation = Simulation(kind)
    start = datetime.fromtimestamp(simulation.now, UTC)
    for hour in range(30):
        if not 10 <= hour < 15:  # for five hours nobody runs
            for _ in range(3):  # three workers tick
                await tick(simulation.queue, [hourly(kind)])
            await simulation.run()
        simulation.server.store.now += 3_600_000_000
    for _ in range(3):
        await tick(simulation.queue, [hourly(kind)])
        await simulation.run()
    expected = [f"{fire:%d %H:%M}" for fire in _until(hourly(), start, datetime.fromtimestamp(simulation.now, UTC))]
    assert sorted(ran) == sorted(expected)  # those that were missed run together
    assert len(ran) == 30


def _until(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    found = []
    for fire in schedule.after(start):
        if fire > end:
            return found
        found.append(fire)
    return found


async def test_workers_fire_a_schedule_once_on_a_real_queue(queue: Queue, open_queue) -> None:
    schedule = Schedule("every-second", "* * * * * *", PING, lambda at: Ping(note=str(at)))
    queues = [queue, open_queue(), open_queue()]
    for _ in range(3):
        await asyncio.gather(*(tick(one, [schedule]) for one in queues))
    survey = await queue.survey()
    assert 55 <= survey.scheduled <= 62
    for one in queues[1:]:
        await one.close()


def test_daylight_saving_fires_once() -> None:
    schedule = Schedule("x", "30 2 * * *", PING, lambda at: Ping(), "Europe/Berlin")
    spring, autumn = (
        datetime(2026, month, day, 0, tzinfo=ZoneInfo("Europe/Berlin")) for month, day in ((3, 28), (10, 24))
    )
    for start in (spring, autumn):
        fires = _until(schedule, start, start.replace(day=start.day + 3))
        assert len(fires) == len({fire.date() for fire in fires}) == 3


@pytest.mark.parametrize(("cron", "zone"), [("nonsense", "UTC"), ("0 0 31 2 *", "UTC"), ("0 * * * *", "Mars/Olympus")])
def test_a_wrong_schedule_is_refused(cron: str, zone: str) -> None:
    with pytest.raises(ValueError, match="a right one is"):
        Schedule("x", cron, PING, lambda at: Ping(), zone)


async def kill(queue: Queue, count: int, error: str, cause: str) -> list[str]:
    ids = await put(queue, PING, count)
    for lease in await take(queue, room=100):
        await queue.settle(lease, Dead(error, cause))
    return ids


async def test_dead_jobs_by_cause_and_what_is_shown_is_what_is_moved(queue: Queue) -> None:
    refused = await kill(queue, 7, "550 no such user", "550 mx.example")
    await kill(queue, 3, "timed out", "unreachable mx.example")
    assert [(one.fingerprint, one.count) for one in await causes(queue)] == [
        (("ping", "550 mx.example", ""), 7), (("ping", "unreachable mx.example", ""), 3)
    ]  # fmt: skip
    shown = [job.id async for job in find(queue, Wanted(cause="550"))]
    assert shown == refused[::-1]
    assert await queue.requeue(shown, pace=10, by="bat") == ["requeued"] * 7
    assert (await queue.survey()).scheduled == 6
    job = await queue.show(shown[3])
    assert job is not None
    assert (job.state, job.history[-1].by, job.error) == (State.SCHEDULED, "bat", None)
    middle = [job async for job in find(queue, Wanted(died_before=10**15, error="timed"))]
    assert len(middle) == 3
    assert [job async for job in find(queue, Wanted(died_after=10**15))] == []


async def test_a_passed_cause_recovers_at_most_so_often(queue: Queue) -> None:
    recovery = Recovery(("unreachable",), pace=1000, times=2)
    [lost] = await kill(queue, 1, "timed out", "unreachable mx.example")
    [wrong] = await kill(queue, 1, "550", "550 mx.example")
    for count in (1, 1, 0):
        assert await recover(queue, "ping", recovery) == count
        for lease in await eventually(lambda: take(queue)) if count else []:
            await queue.settle(lease, Dead("timed out", "unreachable mx.example"))
    assert (await queue.show(wrong) or job_none()).generation == 1
    job = await queue.show(lost)
    assert job is not None
    assert [event.by for event in job.history if event.name == "requeued"] == ["recovery"] * 2


def job_none() -> Job:
    raise AssertionError("the job is gone")


async def test_a_dead_job_is_edited_and_runs_with_its_new_payload(queue: Queue) -> None:
    [job_id] = await kill(queue, 1, "550", "550")
    assert await queue.edit(PING, job_id, Ping(note="mended"), by="bat") == "edited"
    await queue.requeue([job_id])
    [lease] = await take(queue)
    assert PING.decode(lease.payload).note == "mended"
    assert await queue.edit(PING, job_id, Ping()) == "not_dead"
    assert await queue.edit(PING, "nobody", Ping()) == "unknown"


async def test_dead_jobs_leave_after_their_retention_once_the_log_has_them(queue: Queue, valkey) -> None:
    [job_id] = await kill(queue, 1, "550", "550")
    brief = Queue(valkey.url, name=queue.tag[4:-3], dead_retention=0.0)
    events = await queue.read(1)
    await asyncio.sleep(0.01)
    await brief.recorded(events[0].position)
    assert await queue.show(job_id) is not None
    assert await brief.recorded(events[-1].position) == 1
    assert await queue.show(job_id) is None
    assert (await queue.admit(PING, Ping(job_id=job_id)))[1].word == "seen"
    await brief.close()


def working(open_queue, kind: Kind[Ping]) -> tuple[asyncio.Event, "asyncio.Task[None]"]:
    stop = asyncio.Event()
    worker = Worker(open_queue, [kind], concurrency=4, grace=1, tell=Told())
    return stop, asyncio.create_task(worker.run(stop, asyncio.Event()))


async def ended(queue: Queue, job_id: str) -> Job:
    async def look() -> Job | None:
        job = await queue.show(job_id)
        return job if job and job.state in (State.COMPLETED, State.DEAD) else None

    found: Job = await eventually(look)
    return found


async def test_the_time_limit_ends_an_attempt(queue: Queue, open_queue) -> None:
    async def handler(lease: Lease, ping: Ping) -> None:
        await asyncio.sleep(60)

    kind = Kind("ping", Ping, handler, time_limit=0.1, backoff=Backoff(attempts=2, base=0.01))
    stop, running = working(open_queue, kind)
    [job_id] = await put(queue, kind)
    job = await ended(queue, job_id)
    assert (job.state, job.attempts) == (State.DEAD, 2)
    assert "still at it after 0.1 s" in (job.error or "")
    stop.set()
    await running


async def test_a_thread_that_cannot_be_stopped_loses_its_lease(queue: Queue, open_queue) -> None:
    runs: list[int] = []

    def handler(lease: ThreadLease, ping: Ping) -> None:
        runs.append(lease.attempt)
        if len(runs) == 1:
            time.sleep(2.5)

    kind = Kind("ping", Ping, handler, time_limit=0.1, backoff=Backoff(attempts=2, base=0.01))
    stop, running = working(open_queue, kind)
    [job_id] = await put(queue, kind)
    job = await ended(queue, job_id)
    assert job.state is State.COMPLETED
    assert runs == [1, 2]
    stop.set()
    await running


async def test_a_plain_function_runs_in_a_thread_and_has_the_same_words(queue: Queue, open_queue) -> None:
    def handler(lease: ThreadLease, ping: Ping) -> None:
        lease.log("looked up\x1b[31m the recipient")
        lease.commit()
        lease.progress(0.5)

    kind = Kind("ping", Ping, handler)
    stop, running = working(open_queue, kind)
    [job_id] = await put(queue, kind)
    job = await ended(queue, job_id)
    assert [(event.name, event.note, event.progress) for event in job.history] == [
        ("admitted", None, None), ("claimed", None, None), ("noted", "looked up?[31m the recipient", None),
        ("noted", None, 0.5), ("completed", None, None),
    ]  # fmt: skip
    stop.set()
    await running


async def test_events_are_followed_as_they_happen(queue: Queue) -> None:
    await put(queue, PING)
    seen: list[Event] = []

    async def follow() -> None:
        async for event in queue.follow():
            seen.append(event)  # noqa: PERF401  it is looked at meanwhile

    task = asyncio.create_task(follow())
    await asyncio.sleep(0.2)
    [job_id] = await put(queue, PING)
    leases = await take(queue)
    await queue.settle(leases[-1], Completed())
    await eventually(lambda: [e.name for e in seen if e.job == job_id] == ["admitted", "claimed", "completed"])
    assert len(seen) == 4
    task.cancel()
