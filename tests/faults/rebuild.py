"""`python -m tests.faults.rebuild [--jobs N] [--times N] [--seed N]`: Valkey is lost under load, and made again."""

import argparse
import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.conftest import PostgresServer, ValkeyServer
from tests.faults.database import percentile
from tests.faults.rig import ENDED, LEASE, Rig
from tests.faults.worker import Work, kind_of
from tests.parts import check_consistent, eventually
from yellowbooks.joblog import Counts, JobLog, Reconciler, Recorder
from yellowbooks.jobs import Job, Queue, QueueUnavailable, State, absent

ASKERS = 4
IDLE = 10  # jobs of a kind that no worker knows, so that each loss has something to make again
WAYS = ("", "", "", "", "", "", "", "fail", "fail", "die")
LOST = "the queue was lost"
COLUMNS = (
    "lost by", "doubt", "store", "asked", "acked", "in the log", "beyond it", "ms", "by name only",
    "restored", "held", "dead letters", "completed", "in doubt", "twice", "unexplained", "missing", "recovery",
)  # fmt: skip


@dataclass
class Tally:
    """What came of one loss. `beyond`: acked, and the recorder had not written it; `ms`: since when; `closed`: it had
    written that there was such a job, and came too late for what was sent: closed as lost."""

    asked: int = 0
    acked: int = 0
    logged: int = 0
    beyond: int = 0
    ms: float = 0.0
    closed: int = 0
    restored: int = 0
    held: int = 0
    dead: int = 0
    completed: int = 0
    doubtful: int = 0
    twice: int = 0
    unexplained: int = 0
    missing: int = 0
    recovery: float = 0.0


@dataclass
class Loss:
    """One loss: who works, what was asked, and when it was answered."""

    rig: Rig
    log: JobLog
    chance: random.Random
    acked: dict[str, float] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    stopping: bool = False

    async def ask(self, asker: int, count: int) -> None:
        """Admit jobs one after another, again with the same id where no answer came."""
        kind = kind_of(self.rig.journal, self.rig.options["doubt"])
        for number in range(count):
            if self.stopping:
                return
            job_id = f"a{asker}-{number}"
            self.asked.append(job_id)
            before, after = self.chance.uniform(0, 0.02), self.chance.uniform(0, 0.03)
            work = Work(job_id=job_id, before=before, after=after, way=self.chance.choice(WAYS))
            delay = 0.5 if self.chance.random() < 0.05 else 0.0
            for _ in range(300):
                with contextlib.suppress(QueueUnavailable):
                    _, receipt = await self.rig.queue.admit(kind, work, delay=delay)
                    assert receipt.word in ("admitted", "seen"), receipt
                    self.acked[job_id] = time.time()
                    break
                await asyncio.sleep(0.05)

    async def lose(self, way: str) -> float:
        """All of it is gone; gives when."""
        if way == "FLUSHALL":
            await self.rig.queue.link.client.flushall()
            return time.time()
        server = self.rig.valkey
        at = time.time()
        server.kill()
        shutil.rmtree(server.folder / "valkey")
        (server.folder / "valkey").mkdir()
        server.start()
        return at

    async def rebuild(self) -> Counts:
        """As `yellowbooks reconcile --rebuild`."""
        comparing = Reconciler(
            self.rig.queue, self.log, mend=True, rebuild=True, keep="all", windows={}, hear=lambda _finding: None
        )
        return await comparing.run()

    def places(self) -> dict[str, tuple[str, int]]:
        """The status of each job that the log knows, and when it was admitted."""
        found = {}
        for status in State:
            after = (0, "")
            while page := self.log.places(status.value, after, 1000):
                found.update({job_id: (status.value, at) for at, job_id in page})
                after = page[-1]
        return found


async def lose_and_rebuild(rig: Rig, log: JobLog, jobs: int, way: str, chance: random.Random) -> Tally:
    """Load, loss, rebuild, drain; raises `AssertionError` where the final set is another one."""
    loss, tally = Loss(rig, log, chance), Tally()
    idle = replace(kind_of(rig.journal), name="nobody-knows-it", doubt=rig.options["doubt"])
    waiting = [job_id for job_id, _ in await rig.queue.admit_many(idle, [Work() for _ in range(IDLE)])]
    await eventually(lambda: len(log.bodies(waiting)) == IDLE, 60)
    rig.work(2, concurrency=10, doubt=rig.options["doubt"])
    asking = [asyncio.create_task(loss.ask(n, jobs // ASKERS)) for n in range(ASKERS)]
    moment = chance.uniform(0.2, 0.8) * jobs
    await eventually(lambda: len(loss.acked) >= moment, 300)
    at = await loss.lose(way)
    await asyncio.sleep(chance.uniform(0, 0.5))  # somebody must notice
    began = time.monotonic()
    acked = list(loss.acked)
    known = await asyncio.to_thread(loss.places)
    # Whoever was told 202 for what the log never heard of is the gap that is stated, not hidden.
    beyond = set(await absent(rig.queue, acked)) - known.keys()
    counts = await loss.rebuild()
    await asyncio.gather(*asking)
    tally.beyond, tally.ms = len(beyond), max([(at - loss.acked[job_id]) * 1000 for job_id in beyond] + [0.0])
    tally.restored, tally.held, tally.closed = counts.restored, counts.held, counts.closed
    assert counts.restored + counts.held >= IDLE, "what nobody had begun did not come back"
    for job_id in waiting:
        job = await rig.queue.show(job_id)
        assert job is not None
        assert job.state is (State.DEAD if rig.options["doubt"] == "hold" else State.ENQUEUED)
    await rig.queue.cancel(waiting)
    await rig.queue.discard(waiting)
    await _drain(loss, set(loss.acked) - beyond)
    tally.recovery = time.monotonic() - began
    tally.asked, tally.acked, tally.logged = len(loss.asked), len(loss.acked), len(known)
    await _check(loss, tally, known, set(loss.acked) - beyond)
    return tally


async def _drain(loss: Loss, wanted: set[str]) -> None:
    async def ended() -> bool:
        with contextlib.suppress(QueueUnavailable):
            for job_id in list(wanted):
                job = await loss.rig.queue.show(job_id) or await asyncio.to_thread(loss.log.find, job_id)
                if job is None or job.state not in ENDED:
                    return False
                wanted.discard(job_id)
        return not wanted and not await loss.rig.queue.link.client.xlen(f"{loss.rig.queue.tag}:events")

    try:
        await eventually(ended, 120)
    except AssertionError:
        some = [await loss.rig.queue.show(job_id) for job_id in sorted(wanted)[:3]]
        raise AssertionError(f"{len(wanted)} did not end, such as {some}") from None


async def _check(loss: Loss, tally: Tally, known: dict[str, tuple[str, int]], wanted: set[str]) -> None:
    effects = loss.rig.effects()
    final = await asyncio.to_thread(loss.places)
    tally.missing = len((wanted | known.keys()) - final.keys())
    for job_id in sorted(wanted | known.keys()):
        job = await asyncio.to_thread(loss.log.find, job_id)
        assert job is not None, f"{job_id} is nowhere"
        doubtful, happened = _doubtful(job), effects[job_id]
        tally.completed += job.state is State.COMPLETED
        tally.dead += job.state is State.DEAD
        tally.doubtful += doubtful
        tally.twice += happened > 1
        tally.unexplained += happened > 1 and not doubtful
        if job.cause == "lost":
            known.pop(job_id, None)  # it is told as lost, and whoever sends it again is taken in
            continue
        tally.missing += job.state not in ENDED or (job.state is State.COMPLETED and not happened)
    hold = loss.rig.options["doubt"] == "hold"
    assert not (hold and tally.twice), f"{tally.twice} effects happened twice, of a kind that may not: {tally}"
    assert not tally.unexplained, f"{tally.unexplained} effects happened twice and nothing says so: {tally}"
    assert not tally.missing, f"{tally.missing} jobs that the log knew did not come to their ends: {tally}"
    known = {job_id: place for job_id, place in known.items() if job_id in loss.asked}
    was_dead = {job_id for job_id, (status, _) in known.items() if status == "dead"}
    assert was_dead <= {job_id for job_id, (status, _) in final.items() if status == "dead"}
    letters = [job_id for job_id in was_dead if await loss.rig.queue.show(job_id)]
    assert set(letters) == was_dead, "dead letters that the log knew did not come back"
    for job_id in loss.chance.sample(sorted(known), min(20, len(known))):
        _, receipt = await loss.rig.queue.admit(kind_of(loss.rig.journal), Work(job_id=job_id))
        assert receipt.word == "seen", f"{job_id} was taken in again"


def _doubtful(job: Job) -> bool:
    return any(event.error and (LOST in event.error or "after its commit" in event.error) for event in job.history)


async def once(store: str, jobs: int, seed: int, way: str, doubt: str, postgres: PostgresServer) -> Tally:
    """One loss, on a Valkey of its own."""
    with tempfile.TemporaryDirectory(prefix="yb") as path:
        folder = Path(path)
        valkey = ValkeyServer(folder)
        valkey.start()
        url = postgres.new_database() if store == "postgresql" else f"sqlite:///{folder}/log.sqlite3"
        log, stop = JobLog(url), asyncio.Event()
        log.migrate()
        rig = Rig(folder, jobs, valkey, Queue(valkey.url, lease=LEASE))
        rig.options = {"doubt": doubt}
        source = Queue(valkey.url, lease=LEASE)
        recorder = Recorder(
            source, log, on_trouble=lambda _text: None, on_recovered=lambda: None, seat_seconds=1.0, keep="all"
        )
        recording = asyncio.create_task(recorder.run(stop))
        try:
            tally = await lose_and_rebuild(rig, log, jobs, way, random.Random(seed))
            for process in rig.workers:
                process.kill()
                process.wait()
            check_consistent(valkey.url, rig.queue.tag)
            return tally
        except BaseException:
            print((folder / "workers.log").read_text()[-2000:])
            raise
        finally:
            for process in rig.workers:
                process.kill()
                process.wait()
            stop.set()
            await recording
            await rig.queue.close()
            await source.close()
            await asyncio.to_thread(log.close)
            valkey.stop()


def line(way: str, doubt: str, store: str, tallies: list[Tally]) -> str:
    """One row of the table: sums, but the longest gap and two percentiles."""
    total: Counter[str] = Counter()
    for tally in tallies:
        total.update({name: value for name, value in vars(tally).items() if isinstance(value, int)})
    names = ("asked", "acked", "logged", "beyond")
    others = ("closed", "restored", "held", "dead", "completed", "doubtful", "twice", "unexplained", "missing")
    recoveries = [tally.recovery for tally in tallies]
    words = [
        way, doubt, store, *(total[name] for name in names), f"{max(tally.ms for tally in tallies):.0f}",
        *(total[name] for name in others), f"{percentile(recoveries, 0.5):.1f} s, {percentile(recoveries, 0.99):.1f} s",
    ]  # fmt: skip
    return "| " + " | ".join(str(word) for word in words) + " |"


CASES = (
    ("FLUSHALL", "resend_once", "sqlite"),
    ("FLUSHALL", "hold", "postgresql"),
    ("an empty server", "resend_once", "postgresql"),
    ("an empty server", "hold", "sqlite"),
)


def main() -> int:
    """Each way so many times; the exit status is 0 where the final set was the same each time."""
    parser = argparse.ArgumentParser(description="Lose Valkey under load, make the queue again from the job log.")
    parser.add_argument("--jobs", type=int, default=2000, help="jobs that are asked for, each time")
    parser.add_argument("--times", type=int, default=5, help="how often each way")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    postgres, broken, began = PostgresServer(), 0, time.monotonic()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    try:
        for way, doubt, store in CASES:
            tallies: list[Tally] = []
            try:
                tallies.extend(
                    asyncio.run(once(store, options.jobs, options.seed + n, way, doubt, postgres))
                    for n in range(options.times)
                )
            except AssertionError as error:
                broken += 1
                print(f"| {way} | {doubt} | BROKEN at seed {options.seed + len(tallies)}: {error} |", flush=True)
                continue
            print(line(way, doubt, store, tallies), flush=True)
    finally:
        postgres.server.cleanup()
    print(f"\n{options.times} times each, {time.monotonic() - began:.0f} s; {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
