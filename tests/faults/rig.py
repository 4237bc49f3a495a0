"""A campaign's stage: a Valkey, worker processes, what was asked, and the checker at the end."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import ValkeyServer
from tests.faults.worker import Work, kind_of, open_queue
from tests.parts import check_consistent
from yellowbooks.jobs import Job, Queue, QueueUnavailable, State

LEASE = 1.0
ENDED = (State.COMPLETED, State.DEAD, State.CANCELLED)


@dataclass
class Tally:
    """What came of one fault."""

    asked: int = 0
    acked: int = 0
    completed: int = 0
    dead: int = 0
    uncertain: int = 0
    lost: int = 0
    duplicated: int = 0
    unexplained: int = 0
    forgotten: int = 0
    fired: int = 0
    recovery: float = 0.0


@dataclass
class Rig:
    """Everything that one fault works on. `size` is how many jobs it has."""

    folder: Path
    size: int
    valkey: ValkeyServer
    queue: Queue
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    acked: set[str] = field(default_factory=set)
    tally: Tally = field(default_factory=Tally)
    healed: float = 0.0
    loses: bool = False
    at_end: list[Callable[[], None]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    places: list[tuple[str, str]] = field(default_factory=list)
    stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def move(self, url: str, **options: Any) -> None:
        """Work on other servers from now on; `options` are those of every queue."""
        await self.queue.close()
        self.valkey.stop()
        self.options = {"url": url} | options
        self.queue = open_queue(self.options)

    @property
    def journal(self) -> Path:
        """Where the effects stand."""
        return self.folder / "journal"

    def work(self, count: int = 1, url: str | None = None, **options: Any) -> list["subprocess.Popen[bytes]"]:
        """Start worker processes."""
        own = {"url": self.valkey.url, "name": "jobs", "lease": LEASE, "journal": str(self.journal)}
        given = own | self.options | ({"url": url} if url else {}) | options
        command = [sys.executable, "-m", "tests.faults.worker", json.dumps(given)]
        log = (self.folder / "workers.log").open("ab")
        fresh = [subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True) for _ in range(count)]
        log.close()
        self.workers += fresh
        return fresh

    async def all_listed(self) -> bool:
        """Whether each worker that lives has said to the queue that it is there."""
        return len((await self.queue.survey()).workers) >= len(self.alive())

    async def ask(
        self, count: int, prefix: str = "j", queue: Queue | None = None, pause: float = 0.0, **fields: Any
    ) -> None:
        """Admit jobs one by one, again with the same id where no answer came."""
        kind = kind_of(self.journal, self.options.get("doubt", "resend_once"))
        for number in range(count):
            job_id = f"{prefix}{number}"
            self.asked.add(job_id)
            await asyncio.sleep(pause)
            for _ in range(300):
                with contextlib.suppress(QueueUnavailable):
                    _, receipt = await (queue or self.queue).admit(kind, Work(job_id=job_id, **fields))
                    assert receipt.word in ("admitted", "seen"), receipt
                    self.acked.add(job_id)
                    break
                await asyncio.sleep(0.1)

    def kill(self, process: "subprocess.Popen[bytes]", number: int = signal.SIGKILL) -> None:
        """Send a signal to a worker of ours that lives."""
        if process.poll() is None:
            os.kill(process.pid, number)
            self.tally.fired += 1
            if number == signal.SIGKILL:
                process.wait()

    def alive(self) -> list["subprocess.Popen[bytes]"]:
        """The workers that run."""
        return [process for process in self.workers if process.poll() is None]

    def effects(self) -> Counter[str]:
        """How often each effect happened."""
        return Counter(self.journal.read_text().split()) if self.journal.exists() else Counter()

    async def drain(self, seconds: float = 60.0) -> None:
        """Everything heals; one worker at least is there; wait until every job that was acked has ended."""
        self.healed = self.healed or time.monotonic()
        if not self.alive():
            self.work()
        waiting, deadline = set(self.acked), time.monotonic() + seconds
        while waiting and time.monotonic() < deadline:
            with contextlib.suppress(QueueUnavailable):
                for job_id in list(waiting):
                    job = await self.queue.show(job_id)
                    if job is None or job.state in ENDED:
                        waiting.discard(job_id)
                    else:
                        break
            await asyncio.sleep(0.05)
        self.tally.recovery = time.monotonic() - self.healed

    async def check(self) -> Tally:
        """Count what came of every job; raises `AssertionError` where a promise was broken."""
        tally = await self.count()
        assert tally.fired > 0, "the fault never fired"
        assert bool(tally.lost) == self.loses, f"{tally.lost} jobs were lost: {tally}"
        assert tally.unexplained == 0, f"{tally.unexplained} effects happened twice and nothing says so: {tally}"
        for process in self.workers:
            process.kill()
            process.wait()
        for place in self.places or ([] if self.loses else [(self.valkey.url, self.queue.tag)]):
            check_consistent(*place)
        return tally

    async def count(self) -> Tally:
        """What came of every job that was asked for."""
        effects, tally = self.effects(), self.tally
        tally.asked, tally.acked = len(self.asked), len(self.acked)
        for job_id in sorted(self.asked):
            job = await self.queue.show(job_id)
            doubtful = job is not None and _doubtful(job)
            tally.uncertain += doubtful
            tally.completed += job is not None and job.state is State.COMPLETED
            tally.dead += job is not None and job.state is State.DEAD
            happened = effects[job_id]
            tally.duplicated += happened > 1
            tally.unexplained += happened > 1 and not doubtful
            if job_id in self.acked:
                ended = job is not None and job.state in ENDED
                tally.forgotten += job is None and happened > 0
                tally.lost += not ended or (job is not None and job.state is State.COMPLETED and not happened)
        assert effects.keys() <= self.asked, "something ran that nobody asked for"
        return tally


def _doubtful(job: Job) -> bool:
    return any(event.error and "after its commit" in event.error for event in job.history) or (job.cause == "uncertain")
