"""What stands in the queue or in the log alone is found, and mended; what is on its way is no difference."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.conftest import ValkeyServer
from tests.joblog.test_recorder import logged, recording
from tests.parts import Ping, eventually, put, take
from yellowbooks.cli import main
from yellowbooks.joblog import Counts, Finding, JobLog, Reconciler, note_drift, sample_drift
from yellowbooks.joblog import drift as drift_module
from yellowbooks.joblog import reconcile as reconcile_module
from yellowbooks.joblog.tally import COUNTED
from yellowbooks.jobs import Event, Kind, Queue, State
from yellowbooks.jobs.outcome import Completed, Dead, Retry
from yellowbooks.metrics.behind import drift
from yellowbooks.sealing import Keyring


class Both:
    """A queue, its log, and a recorder's step whenever one is wanted."""

    def __init__(self, queue: Queue, url: str) -> None:
        self.queue = queue
        self.url = url
        self.log = JobLog(url)
        self.log.migrate()
        self.found: list[Finding] = []

    async def record(self, *, keep: bool = True, sealed: bool = False) -> None:
        """Write all events that there are; with `keep` also what was sent."""
        while events := await self.queue.read(0.01):
            ids = sorted({event.job for event in events})
            bodies = await self.queue.bodies(ids, sealed=sealed) if keep else {}
            await asyncio.to_thread(self.log.append, events, bodies)
            await self.queue.recorded(events[-1].position)

    async def reconcile(self, *, mend: bool = False, rebuild: bool = False, keep: str = "all") -> Counts:
        self.found = []
        comparing = Reconciler(
            self.queue, self.log, mend=mend, rebuild=rebuild, keep=keep, windows={}, hear=self.found.append
        )
        return await comparing.run()

    async def lose(self, *job_ids: str) -> None:
        """As a server that lost some of it: the records are gone, and so are their places."""
        client, tag = self.queue.link.client, self.queue.tag
        for job_id in job_ids:
            await client.delete(f"{tag}:job:{job_id}", f"{tag}:story:{job_id}")
            for index in ("due", "leases", "dead"):
                await client.zrem(f"{tag}:{index}", job_id)

    async def lose_all(self) -> None:
        client = self.queue.link.client
        await client.delete(*[key async for key in client.scan_iter(f"{self.queue.tag}:*", count=10_000)])

    async def same(self) -> None:
        """The two tell the same of every job, and the counts of the minutes agree with both."""
        assert (await self.reconcile()).found == 0, self.found
        minutes = self.log.minutes(0)
        told: list[Event] = []
        for place in [one for state in State for one in self.log.places(state.value, (0, ""), 1000)]:
            job = self.log.find(place[1])
            assert job is not None
            told += job.history
        for name, column in COUNTED.items():
            assert sum(getattr(minute, column) for minute in minutes) == sum(event.name == name for event in told), name


@pytest.fixture
async def both(queue: Queue, database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    monkeypatch.setattr(reconcile_module, "PAGE", 3)  # so that every walk has several pages
    both = Both(queue, database_url)
    yield both
    await asyncio.to_thread(both.log.close)


async def work(queue: Queue, ping: Kind[Ping]) -> dict[str, str]:
    """A job in each state."""
    names = ("waits", "runs", "retries", "dies", "ends", "goes", "timed")
    ids = dict(zip(names, await put(queue, ping, 7), strict=True))
    await queue.cancel([ids["goes"], ids["timed"]])
    [timed] = [(await queue.admit(ping, Ping(user="timed"), delay=3600))[0]]
    ids["timed"] = timed
    leases = {lease.job_id: lease for lease in await take(queue)}
    await queue.release([leases[ids["waits"]]])
    await queue.settle(leases[ids["retries"]], Retry(600.0, "no luck", "luck"))
    await queue.settle(leases[ids["dies"]], Dead("boom", "boom"))
    await queue.settle(leases[ids["ends"]], Completed())
    return ids


async def test_what_is_recorded_and_what_is_on_its_way_do_not_differ(both: Both, ping: Kind[Ping]) -> None:
    await work(both.queue, ping)
    counts = await both.reconcile()
    assert (counts.in_queue, counts.in_log, counts.found) == (8, 0, 0)
    await both.record()
    counts = await both.reconcile()
    assert (counts.in_queue, counts.in_log, counts.found, counts.left) == (8, 4, 0, 0)
    await put(both.queue, ping, 3, note="more")
    assert (await both.reconcile()).found == 0
    await both.same()


async def test_what_was_shed_is_written_from_the_jobs_own_records(both: Both, ping: Kind[Ping]) -> None:
    kind = Kind("ping", Ping)
    first = await put(both.queue, kind, 4)
    await both.record()
    ids = await work(both.queue, ping)
    await both.queue.link.client.xtrim(f"{both.queue.tag}:events", maxlen=0)
    for lease in await take(both.queue):  # these go on: their later events come, and the ones before are missing
        await both.queue.settle(lease, Completed())
    counts = await both.reconcile()
    assert (counts.unwritten, counts.behind) == (7, 4)
    assert ids["waits"] not in {one.job_id for one in both.found}  # its last events are on their way
    await both.record()
    counts = await both.reconcile()
    assert (counts.unwritten, counts.behind, counts.left) == (7, 5, 12)
    assert [one.done for one in both.found] == ["is written with --mend"] * 12
    counts = await both.reconcile(mend=True)
    assert (counts.written, counts.left) == (12, 0)
    for job_id in (*first, *ids.values()):
        told, written = await both.queue.show(job_id), both.log.find(job_id)
        assert told is not None
        assert written is not None
        assert [(event.name, event.at) for event in written.history] == [
            (event.name, event.at) for event in told.history
        ]
        assert (written.state, written.attempts, written.created) == (told.state, told.attempts, told.created)
    await both.same()
    assert both.log.bodies([ids["dies"]]) == await both.queue.bodies([ids["dies"]], sealed=False)


async def test_a_row_keeps_who_it_is_about_when_it_is_told_again(both: Both, ping: Kind[Ping]) -> None:
    class Keys:
        def keys(self, job_id: str, _payload: Ping) -> list[str]:
            return ["k" * 24]

    kind = replace(ping, finder=Keys())  # type: ignore[arg-type]  all that admission asks for
    [job_id] = [(await both.queue.admit(kind, Ping(), request="req-1"))[0]]
    await both.record()
    before = both.log.row(job_id)
    [lease] = await take(both.queue)
    await both.queue.settle(lease, Completed())
    await both.queue.link.client.xtrim(f"{both.queue.tag}:events", maxlen=0)
    assert (await both.reconcile(mend=True)).behind == 1
    row = both.log.row(job_id)
    assert row is not None
    assert before is not None
    assert (row.status, row.ref, row.request_id) == ("completed", before.ref, "req-1")
    await both.same()


async def test_what_the_queue_lost_comes_back_or_is_closed(both: Both, ping: Kind[Ping]) -> None:
    ids = await work(both.queue, ping)
    await both.record()
    both.log.drop_bodies([ids["retries"]])
    await both.lose(ids["retries"], ids["timed"], ids["dies"])
    counts = await both.reconcile()
    assert (counts.lost, counts.dead, counts.left) == (2, 0, 2)
    assert {one.job_id: one.done for one in both.found} == {
        ids["retries"]: "is closed as dead with --mend: nothing to make it from",
        ids["timed"]: "comes back with --rebuild",
    }
    counts = await both.reconcile(mend=True)
    assert (counts.closed, counts.left) == (1, 1)
    closed = both.log.find(ids["retries"])
    assert closed is not None
    assert (closed.state, closed.cause) == (State.DEAD, "lost")
    counts = await both.reconcile(rebuild=True)
    assert (counts.lost, counts.dead, counts.restored, counts.left) == (1, 1, 2, 0)
    assert (await both.queue.show(ids["dies"])).state is State.DEAD  # type: ignore[union-attr]
    await both.record()
    await both.same()
    assert (await both.queue.admit(ping, Ping(job_id=ids["retries"])))[1].word == "admitted"  # who sends it again may
    assert (await both.queue.admit(ping, Ping(job_id=ids["ends"])))[1].word == "seen"
    await both.record()
    assert both.log.find(ids["retries"]).state is State.ENQUEUED  # type: ignore[union-attr]


async def test_an_empty_queue_is_made_again(both: Both, ping: Kind[Ping]) -> None:
    ids = await work(both.queue, ping)
    await both.record()
    await both.lose_all()
    await put(both.queue, ping, 2, note="after the loss")
    counts = await both.reconcile(rebuild=True)
    assert (counts.lost, counts.dead, counts.restored, counts.left) == (4, 1, 5, 0)
    assert counts.known == 3  # what ended, or is dead and is there
    await both.record()
    await both.same()
    assert (await both.queue.admit(ping, Ping(job_id=ids["ends"])))[1].word == "seen"
    assert {lease.job_id for lease in await take(both.queue)} >= {ids["waits"], ids["runs"]}
    await both.record()
    assert both.log.find(ids["runs"]).state is State.PROCESSING  # type: ignore[union-attr]
    assert (await both.reconcile(rebuild=True)).found == 0


async def test_a_queue_that_is_older_than_the_log_is_said_and_left(both: Both, ping: Kind[Ping]) -> None:
    [job_id] = await put(both.queue, ping)
    client, key = both.queue.link.client, f"{both.queue.tag}:job:"
    old = await client.get(key + job_id)
    [lease] = await take(both.queue)
    await both.queue.settle(lease, Completed())
    await both.record()
    new = await client.get(key + job_id)
    await client.set(key + job_id, old)
    counts = await both.reconcile(rebuild=True)
    assert (counts.older, counts.left) == (1, 1)
    assert (both.found[0].queue, both.found[0].log) == ("enqueued", "completed")
    await client.set(key + job_id, new)


async def test_payloads_that_were_sealed_anew_are_kept_anew(both: Both, ping: Kind[Ping]) -> None:
    from yellowbooks.jobs import reseal

    keys = ["a-key-of-thirty-two-characters-or-more", "another-key-of-thirty-two-characters"]
    kind = replace(ping, seal=Keyring(keys[:1]))
    [job_id] = await put(both.queue, kind)
    await both.record(sealed=True)
    before = both.log.bodies([job_id])
    assert before
    await reseal(both.queue, [replace(ping, seal=Keyring(keys[::-1]))])
    await both.reconcile(keep="sealed")
    assert both.log.bodies([job_id]) == before  # looking changes nothing
    await both.reconcile(mend=True, keep="sealed")
    assert both.log.bodies([job_id]) == await both.queue.bodies([job_id], sealed=True)
    assert both.log.bodies([job_id]) != before


async def test_what_was_shredded_is_not_written_again(both: Both, ping: Kind[Ping]) -> None:
    [job_id] = await put(both.queue, ping)
    [lease] = await take(both.queue)
    await both.queue.settle(lease, Completed())
    await both.queue.link.client.xtrim(f"{both.queue.tag}:events", maxlen=0)
    assert await both.queue.shred([job_id]) == ["shredded"]
    assert (await both.reconcile(mend=True)).found == 0
    assert both.log.find(job_id) is None


async def test_it_may_run_while_jobs_go_on(both: Both, ping: Kind[Ping]) -> None:
    kind, stop = Kind("ping", Ping), asyncio.Event()

    async def load() -> None:
        while not stop.is_set():
            await asyncio.sleep(0.02)
            await put(both.queue, kind, 5)
            for lease in await take(both.queue):
                await both.queue.settle(lease, Completed())

    loading = asyncio.create_task(load())
    async with recording(both.queue, both.log):
        for _ in range(2):
            await asyncio.sleep(0.1)
            counts = await both.reconcile(rebuild=True)
            assert counts.found == 0, both.found
        stop.set()
        await loading
    assert counts.in_queue > 5


async def test_the_drift_is_kept_for_the_metrics(both: Both, ping: Kind[Ping], monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await work(both.queue, ping)
    await both.record()
    await both.lose(ids["timed"], ids["retries"])
    assert await sample_drift(both.queue, both.log) == 0  # too young to say
    monkeypatch.setattr(drift_module, "SETTLED", 0)
    assert await eventually(lambda: sample_drift(both.queue, both.log)) == 2
    assert await drift(both.queue) == {"only_log": 2, "differ": 0}
    await note_drift(both.queue, await both.reconcile(rebuild=True))
    assert await drift(both.queue) == {"only_log": 0, "differ": 0}
    assert await sample_drift(both.queue, both.log) == 0


def test_the_command(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    settings = {"YB_VALKEY_URL": own_valkey.url, "YB_DATA_DIR": str(tmp_path), "YB_LOG_PAYLOADS": "all"}

    def run(*words: str, status: int = 0) -> str:
        result = CliRunner().invoke(main, ["reconcile", *words], env=settings)
        assert result.exit_code == status, result.output
        return result.output

    async def lose() -> str:
        queue = Queue(own_valkey.url)
        both = Both(queue, f"sqlite:///{tmp_path}/joblog.sqlite3")
        ids = await work(queue, Kind("ping", Ping))
        await both.record()
        await both.lose(ids["timed"])
        await queue.close()
        both.log.close()
        return ids["timed"]

    assert "no job log" in run(status=1)
    lost = asyncio.run(lose())
    text = run(status=1)
    assert lost in text
    assert "comes back with --rebuild" in text
    assert "1 differ, 1 of them still" in text
    finding, counts = (json.loads(line) for line in run("--json", status=1).splitlines())
    assert finding == {
        "jobId": lost, "what": "lost", "queue": None, "log": "scheduled", "done": "comes back with --rebuild",
    }  # fmt: skip
    assert (counts["lost"], counts["in_queue"]) == (1, 7)
    assert "1 differ, 0 of them still" in run("--rebuild")
    assert "0 differ" in run()
    own_valkey.stop()
    assert "away" in run(status=75)


async def test_a_recorder_hears_of_what_came_back(both: Both, ping: Kind[Ping]) -> None:
    async with recording(both.queue, both.log, keep="all"):
        [job_id] = await put(both.queue, ping)
        await logged(both.log, job_id, State.ENQUEUED)
        await both.lose_all()
        assert (await both.reconcile(rebuild=True)).restored == 1
        job = await eventually(lambda: _restored(both, job_id))
        assert job.error
        assert both.log.bodies([job_id])
        assert {place[1] for place in both.log.places("enqueued", (0, ""), 10)} == {job_id}


def _restored(both: Both, job_id: str):
    job = both.log.find(job_id)
    return job if job and job.history[-1].name == "restored" else None
