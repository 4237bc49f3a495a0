"""What callers sent stands in the log while their jobs are not at their end, and no longer."""

import asyncio
import time
from dataclasses import replace

import pytest

from tests.joblog.test_recorder import logged, recording
from tests.parts import Ping, eventually, put, take
from yellowbooks.joblog import JobLog
from yellowbooks.joblog import recorder as recorder_module
from yellowbooks.jobs import Kind, Queue, State
from yellowbooks.jobs.outcome import Completed, Dead, Retry
from yellowbooks.sealing import Keyring

SECRET = "a-key-of-thirty-two-characters-or-more"


@pytest.fixture
def sealed(ping: Kind[Ping]) -> Kind[Ping]:
    return replace(ping, seal=Keyring([SECRET]), rate=None)


async def test_a_body_is_there_until_the_job_ends(queue: Queue, sealed: Kind[Ping], database_url: str) -> None:
    log = JobLog(database_url)
    async with recording(queue, log):
        ids = await put(queue, sealed, 4)
        for job_id in ids:
            await logged(log, job_id, State.ENQUEUED)
        kept = log.bodies(ids)
        assert kept == await queue.bodies(ids, sealed=True)
        assert kept.keys() == set(ids)
        leases = {lease.job_id: lease for lease in await take(queue)}
        await queue.settle(leases[ids[0]], Completed())
        await queue.settle(leases[ids[1]], Dead("boom"))
        await queue.settle(leases[ids[2]], Retry(60.0, "no luck"))
        await queue.release([leases[ids[3]]])
        assert await queue.cancel([ids[3]]) == ["cancelled"]
        await logged(log, ids[0], State.COMPLETED)
        await logged(log, ids[1], State.DEAD)
        await logged(log, ids[2], State.RETRYING)
        await logged(log, ids[3], State.CANCELLED)
        assert log.bodies(ids).keys() == {ids[1], ids[2]}
        assert await queue.edit(sealed, ids[1], Ping(user="other")) == "edited"
        await eventually(lambda: log.bodies([ids[1]])[ids[1]] != kept[ids[1]])
        assert log.bodies([ids[1]]) == await queue.bodies([ids[1]], sealed=True)
        assert log.drop_bodies(ids) == 2
        assert log.bodies(ids) == {}
    log.close()


async def test_a_payload_without_a_seal_is_kept_only_where_all_are(
    queue: Queue, ping: Kind[Ping], open_queue, database_url: str
) -> None:
    log = JobLog(database_url)
    async with recording(queue, log):
        [one] = await put(queue, ping)
        await logged(log, one, State.ENQUEUED)
        assert log.bodies([one]) == {}
    async with recording(queue, log, keep="all"):
        [two] = await put(queue, ping, user="other")
        await logged(log, two, State.ENQUEUED)
        await eventually(lambda: log.bodies([two]))
    log.close()


async def test_what_is_dead_keeps_it_for_its_retention(
    queue: Queue, sealed: Kind[Ping], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "TIDY_SECONDS", 0.0)
    log = JobLog(database_url)
    ids = await put(queue, sealed, 2)
    leases = {lease.job_id: lease for lease in await take(queue)}
    async with recording(queue, log):
        for job_id in ids:
            await queue.settle(leases[job_id], Dead("boom"))
            await logged(log, job_id, State.DEAD)
        assert log.bodies(ids).keys() == set(ids)
        assert await queue.requeue([ids[0]]) == ["requeued"]
        await logged(log, ids[0], State.ENQUEUED)
        assert log.drop_dead_bodies(round(time.time() * 1000) + 1000) == 1
        assert log.bodies(ids).keys() == {ids[0]}  # it lives again
    async with recording(queue, log, dead_retention=0.0):
        [lease] = await take(queue)
        await queue.settle(lease, Dead("again"))
        await logged(log, ids[0], State.DEAD)
        await eventually(lambda: not log.bodies(ids))
    await asyncio.to_thread(log.close)
