"""A stage for faults of the job log: a queue under load, a recorder, a database; and the checker of the two."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import PostgresServer, ValkeyServer
from tests.parts import Ping, eventually
from yellowbooks.joblog import JobLog, Recorder
from yellowbooks.joblog.recorder import Source
from yellowbooks.joblog.tally import COUNTED
from yellowbooks.jobs import Event, Job, Kind, Queue, State
from yellowbooks.jobs.outcome import Completed, Dead, Outcome, Retry

KIND = Kind("ping", Ping)
SEAT = 1.0  # seconds
PATIENCE = 1.5  # seconds: what the database gets for an answer here, so that a black hole is short
ENDED = (State.COMPLETED, State.DEAD, State.CANCELLED)
Line = tuple[str, int, str, int, str | None]


@dataclass
class Tally:
    """What came of one try."""

    fired: int = 0
    jobs: int = 0
    meanwhile: int = 0
    gaps: int = 0
    doubles: int = 0
    recovery: float = 0.0


@dataclass
class LogRig:
    """One try of one fault: `size` jobs before it and as many while it lasts."""

    folder: Path
    size: int
    name: str
    chance: random.Random
    queue: Queue
    valkey_url: str
    postgres: PostgresServer | None
    url: str
    ids: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    at_end: list[Callable[[], object]] = field(default_factory=list)

    async def work(self, count: int | None = None) -> None:
        """Admit jobs and run all of them to their ends, in every way in which one can end."""
        wanted = count or self.size
        for start in range(0, wanted, 10):
            some = [Ping(user=f"u{len(self.ids) + n}") for n in range(min(10, wanted - start))]
            self.ids += [job_id for job_id, _ in await self.queue.admit_many(KIND, some)]
            if self.chance.random() < 0.2:
                await self.queue.cancel([self.chance.choice(self.ids)])
            await self._run(self.chance.randint(1, 20))
            await asyncio.sleep(self.chance.uniform(0, 0.01))
        while await self._run(100):
            pass

    async def _run(self, room: int) -> bool:
        leases, wait = await self.queue.claim([KIND], room)
        released = [lease for lease in leases if self.chance.random() < 0.05]
        await self.queue.release(released)
        rest = [(lease, self._outcome()) for lease in leases if lease not in released]
        await self.queue.settle_many(rest)
        return bool(leases) or wait >= 0

    def _outcome(self) -> Outcome:
        luck = self.chance.random()
        return Dead("boom", "boom") if luck < 0.03 else Retry(0.0, "no luck") if luck < 0.15 else Completed()

    async def meanwhile(self) -> None:
        """The jobs that come while the log is hurt do not wait for it: they come to their ends."""
        first = len(self.ids)
        await self.work()
        jobs = [await self.queue.show(job_id) for job_id in self.ids[first:]]
        ended = sum(job is not None and job.state in ENDED for job in jobs)
        assert ended == len(jobs), f"{len(jobs) - ended} jobs were held up while the log was hurt"
        self.tally.meanwhile += ended

    @asynccontextmanager
    async def recording(self, log: JobLog | None = None, source: Source | None = None) -> AsyncIterator[JobLog]:
        """A recorder in this process."""
        own = log or JobLog(self.url, patience=PATIENCE)
        stop = asyncio.Event()
        recorder = Recorder(
            source or self.queue, own, on_trouble=self.troubles.append, on_recovered=lambda: None, seat_seconds=SEAT
        )
        running = asyncio.create_task(recorder.run(stop))
        try:
            yield own
        finally:
            stop.set()
            await running
            await asyncio.to_thread(own.close)

    def process(self, **options: Any) -> "subprocess.Popen[bytes]":
        """A recorder that is a process of its own; for `options` see `recorder.py`."""
        given = {"url": self.valkey_url, "database": self.url, "seat": SEAT} | options
        command = [sys.executable, "-m", "tests.faults.recorder", json.dumps(given)]
        with (self.folder / "recorder.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self.at_end += [process.wait, lambda: process.poll() is None and os.kill(process.pid, signal.SIGKILL)]
        return process

    async def troubled(self) -> None:
        """Wait until the recorder said that the log is away: the fault was felt."""
        await eventually(lambda: self.troubles, 60)
        self.tally.fired = len(self.troubles)

    async def check(self) -> Tally:
        """Heal is over: wait until the recorder has written everything, then compare each job's events."""
        began = time.monotonic()
        await eventually(self.caught_up, 90)
        self.tally.recovery = time.monotonic() - began
        log = JobLog(self.url)
        told: Counter[str] = Counter()
        for job_id in self.ids:
            job, row = await self.queue.show(job_id), log.find(job_id)
            assert job is not None
            told.update(event.name for event in job.history)
            here, there = Counter(_lines(job)), Counter(_lines(row))
            self.tally.gaps += (here - there).total()
            self.tally.doubles += (there - here).total()
            assert row is None or row.state == job.state, f"{job_id} is {job.state}, and {row.state} in the log"
        counts = log.minutes(0)
        for name, column in COUNTED.items():
            found = sum(getattr(minute, column) for minute in counts)
            assert found == told[name], f"{found} {name} were counted, and {told[name]} happened"
        await asyncio.to_thread(log.close)
        self.tally.jobs = len(self.ids)
        assert self.tally.fired > 0, "the fault never fired"
        return self.tally

    async def caught_up(self) -> bool:
        """Whether the log has every event."""
        return not await self.queue.link.client.xlen(f"{self.queue.tag}:events")


def _lines(job: Job | None) -> list[Line]:
    return [_line(event) for event in job.history] if job else []


def _line(event: Event) -> Line:
    return event.name, event.at, event.state, event.attempt, event.error


Fault = Callable[[LogRig], Awaitable[None]]


async def hurt(fault: Fault, store: str, size: int, seed: int, valkey: ValkeyServer, postgres: PostgresServer) -> Tally:
    """Hurt, heal, drain, check. Raises `AssertionError` where a promise was broken or the fault never fired."""
    with tempfile.TemporaryDirectory(prefix="yb") as path:
        folder = Path(path)
        url = postgres.new_database() if store == "postgresql" else f"sqlite:///{folder}/log.sqlite3"
        name = f"log-{time.monotonic_ns():x}"
        queue = Queue(valkey.url, name=name, lease=30.0)
        server = postgres if store == "postgresql" else None
        rig = LogRig(folder, size, name, random.Random(seed), queue, valkey.url, server, url)
        try:
            async with rig.stack:
                await fault(rig)
                tally = await rig.check()
            assert not tally.gaps, f"{tally.gaps} events are not in the log"
            assert not tally.doubles, f"{tally.doubles} events are in the log twice"
            return tally
        except BaseException:
            print((folder / "recorder.log").read_text()[-3000:] if (folder / "recorder.log").exists() else "")
            print("\n".join(rig.troubles[-5:]))
            raise
        finally:
            for end in reversed(rig.at_end):
                await asyncio.to_thread(end)
            await queue.close()
