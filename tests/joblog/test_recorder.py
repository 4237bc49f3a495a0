"""The recorder: whatever was away, the log has every event in the end, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from valkey.asyncio import Valkey

from tests.conftest import PostgresServer, ValkeyServer
from tests.parts import Ping, Told, eventually, put, take
from yellowbooks.joblog import JobLog, Recorder
from yellowbooks.jobs import Event, Job, Kind, Queue, State
from yellowbooks.jobs.outcome import Completed
from yellowbooks.jobs.record import events_of


@asynccontextmanager
async def recording(
    queue: Queue, log: JobLog, told: Told | None = None, seat: float = 2, **options: Any
) -> AsyncIterator[asyncio.Event]:
    told = told or Told()
    stop = asyncio.Event()
    recorder = Recorder(
        queue, log, on_trouble=lambda text: told("trouble", text=text), on_recovered=lambda: told("recovered"),
        seat_seconds=seat, **options,
    )  # fmt: skip
    running = asyncio.create_task(recorder.run(stop))
    yield stop
    stop.set()
    await asyncio.wait_for(running, 3)


async def logged(log: JobLog, job_id: str, state: State, seconds: float = 15) -> Job:
    async def look() -> Job | None:
        job = await asyncio.to_thread(log.find, job_id)
        return job if job and job.state is state else None

    found: Job = await eventually(look, seconds)
    return found


async def run_all(queue: Queue) -> None:
    while leases := await take(queue, room=100):
        await asyncio.gather(*(queue.settle(lease, Completed()) for lease in leases))


async def test_every_job_stands_in_the_log_and_the_stream_is_trimmed(
    queue: Queue, ping: Kind[Ping], database_url: str
) -> None:
    log = JobLog(database_url)
    async with recording(queue, log):
        ids = await put(queue, ping, 30)
        await run_all(queue)
        for job_id in ids:
            job = await logged(log, job_id, State.COMPLETED)
            assert [event.name for event in job.history] == ["admitted", "claimed", "completed"]
        await eventually(lambda: _empty(queue))
    log.close()


async def _empty(queue: Queue) -> bool:
    return not await queue.link.client.xlen(f"{queue.tag}:events")


async def test_two_recorders_write_every_event_once(
    queue: Queue, ping: Kind[Ping], open_queue, database_url: str
) -> None:
    logs, second = [JobLog(database_url), JobLog(database_url)], open_queue()
    async with recording(queue, logs[0]), recording(second, logs[1]):
        ids = await put(queue, ping, 20)
        await run_all(queue)
        for job_id in ids:
            assert len((await logged(logs[0], job_id, State.COMPLETED)).history) == 3
    await second.close()
    for log in logs:
        log.close()


async def test_another_recorder_takes_the_seat_of_one_that_vanished(
    queue: Queue, ping: Kind[Ping], database_url: str
) -> None:
    assert await queue.lock("recorder", "vanished", 1)
    log = JobLog(database_url)
    async with recording(queue, log):
        [job_id] = await put(queue, ping)
        await logged(log, job_id, State.ENQUEUED)
    log.close()


async def test_a_recorder_that_cannot_read_leaves_the_seat_to_one_that_can(
    queue: Queue, ping: Kind[Ping], open_queue, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an older one beside a newer one, whose events it may not know."""
    told, log, second = Told(), JobLog(database_url), open_queue()

    async def read(_seconds: float) -> list[Event]:
        raise TypeError("Unexpected keyword argument 'novel'")

    monkeypatch.setattr(queue, "read", read)
    async with recording(queue, log, told, seat=0.3):
        await eventually(lambda: "trouble" in told.words())
        async with recording(second, log, seat=0.3):
            [job_id] = await put(queue, ping)
            await logged(log, job_id, State.ENQUEUED)
        assert "recovered" not in told.words()
    await second.close()
    log.close()


def test_an_event_that_a_newer_version_tells_more_of_is_read() -> None:
    packed = msgspec.msgpack.encode([["admitted", "ping", "enqueued", [["j1", 0, 5, {"ref": "x", "novel": 1}]]]])
    [event] = events_of(b"1763968888123-1", packed, b"w")
    assert (event.job, event.name, event.kind, event.state) == ("j1", "admitted", "ping", "enqueued")


async def test_the_database_is_away_and_the_jobs_go_on(
    queue: Queue, ping: Kind[Ping], postgres: PostgresServer
) -> None:
    told, log = Told(), JobLog(postgres.new_database())
    async with recording(queue, log, told):
        [first] = await put(queue, ping)
        await logged(log, first, State.ENQUEUED)
        postgres.stop()
        ids = await put(queue, ping, 25)
        await run_all(queue)
        await eventually(lambda: "trouble" in told.words())
        postgres.start()
        for job_id in ids:
            assert len((await logged(log, job_id, State.COMPLETED, 30)).history) == 3
    assert told.words()[-1] == "recovered"
    log.close()


async def test_the_database_is_away_from_the_start(queue: Queue, ping: Kind[Ping], postgres: PostgresServer) -> None:
    told, log = Told(), JobLog(postgres.new_database())
    postgres.stop()
    async with recording(queue, log, told):
        [job_id] = await put(queue, ping)
        await eventually(lambda: "trouble" in told.words())
        postgres.start()
        await logged(log, job_id, State.ENQUEUED, 30)
    log.close()


async def test_the_queue_is_away_and_back(own_valkey: ValkeyServer, ping: Kind[Ping], tmp_path) -> None:
    told, log, queue = Told(), JobLog(f"sqlite:///{tmp_path}/log.sqlite3"), Queue(own_valkey.url)
    async with recording(queue, log, told):
        [first] = await put(queue, ping)
        await logged(log, first, State.ENQUEUED)
        own_valkey.kill()
        await eventually(lambda: "trouble" in told.words())
        own_valkey.start()
        [second] = await put(queue, ping, user="other")
        await logged(log, second, State.ENQUEUED)
    await queue.close()
    log.close()


async def test_one_event_that_cannot_be_stored_does_not_hold_up_the_rest(
    queue: Queue, ping: Kind[Ping], valkey: ValkeyServer, database_url: str
) -> None:
    told, log = Told(), JobLog(database_url)
    client = Valkey.from_url(valkey.url)
    await put(queue, ping)
    await client.xadd(f"{queue.tag}:events", {"e": b"junk"})
    [good] = await put(queue, ping, user="other")
    async with recording(queue, log, told):
        await logged(log, good, State.ENQUEUED)
    assert any("left out" in fields.get("text", "") for _, fields in told.lines)
    await client.aclose()
    log.close()
