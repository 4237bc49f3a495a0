"""Kill -9 at each point of a mail's way: `python -m tests.faults.mails [--size N]`, with its figures.

Promises: no mail is missing; a second copy comes only of a death between the text and the settlement, is the same to
the byte, and is within `yb_mail_ambiguous_total`.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ValkeyServer
from tests.faults.mailer import COPIES_AT, POINTS, kind_of
from tests.mail.scripted import Scripted
from tests.parts import check_consistent
from yellowbooks.jobs import Job, Queue, State
from yellowbooks.signin import AMBIGUOUS_TOTAL, SignIn, ambiguous

LEASE = 0.8
ROUND = 80  # mails that one round of deaths is about
VICTIMS = 8


@dataclass
class Count:
    """What came of the deaths at one point, or at all."""

    kills: int = 0
    mails: int = 0
    ambiguous: int = 0
    copies: int = 0
    missing: int = 0
    differing: int = 0
    crashed: int = 0


@dataclass
class Stage:
    """A queue, a server that keeps mails, and workers that die."""

    folder: Path
    valkey: ValkeyServer
    queue: Queue
    sink: Scripted
    nursery: asyncio.subprocess.Process
    chance: random.Random = field(default_factory=lambda: random.Random(20251219))
    number: int = 0

    async def start(self, concurrency: int, point: str = "", nth: int = 0) -> int:
        """A worker; its process id."""
        given = {
            "url": self.valkey.url, "lease": LEASE, "smtp": self.sink.url, "concurrency": concurrency, "point": point,
            "nth": nth,
        }  # fmt: skip
        assert self.nursery.stdin
        assert self.nursery.stdout
        self.nursery.stdin.write(json.dumps(given).encode() + b"\n")
        return int(await self.nursery.stdout.readline())

    async def round(self, points: tuple[str, ...], mails: int, concurrency: int) -> Count:
        """Workers that die at these points, one each, then one that lives and sends what is left; and the count."""
        ids = await self._ask(mails)
        victims = [await self.start(concurrency, point, self._nth(point)) for point in points]
        await self._until(lambda: not any(alive(pid) for pid in victims), 20)
        survivor = await self.start(20)
        jobs = await self._ended(ids)
        os.kill(survivor, signal.SIGTERM)
        await self._until(lambda: not alive(survivor), 20)
        return self._count(jobs, len(victims))

    def _nth(self, point: str) -> int:
        """A few mails first; but where a passing is of several jobs, not many."""
        return self.chance.randint(1, 2) if point in POINTS[:2] or point == POINTS[8] else self.chance.randint(1, 6)

    async def _ask(self, count: int) -> list[str]:
        events = [
            SignIn(job_id=f"m{n}", user_id=f"u{n}", email=f"bat{n}@example.com", name="Бат", provider="google")
            for n in range(self.number, self.number + count)
        ]  # fmt: skip
        self.number += count
        return [job_id for job_id, _ in await self.queue.admit_many(kind_of(), events)]

    async def _ended(self, ids: list[str], seconds: float = 60) -> list[Job]:
        deadline = time.monotonic() + seconds
        while True:
            jobs = [job for job in await self.queue.shown(ids) if job]
            if all(job.state in (State.COMPLETED, State.DEAD) for job in jobs):
                # Three deaths in a row, or two in doubt, leave a job to a person, who requeues it.
                left = [job.id for job in jobs if job.state is State.DEAD and job.cause in ("poison", "uncertain")]
                if not left:
                    return jobs
                await self.queue.requeue(left, by="the campaign")
            assert time.monotonic() < deadline, Counter(job.state for job in jobs)
            await asyncio.sleep(0.02)

    async def _until(self, true: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, "a worker did not die where it was to"
            await asyncio.sleep(0.01)

    def _count(self, jobs: list[Job], kills: int) -> Count:
        """Compare what the server took with what the queue says."""
        taken: dict[str, list[bytes]] = defaultdict(list)
        for mail in self.sink.mails:
            taken[recipient(mail)].append(mail)
        self.sink.mails.clear()
        self.sink.texts.clear()
        self.sink.reads.clear()
        count = Count(kills, len(jobs))
        for job in jobs:
            mails = taken.pop(f"bat{job.id[1:]}@example.com", [])
            doubts = sum(ambiguous(event) for event in job.history)
            count.ambiguous += doubts
            count.crashed += job.crashes
            count.missing += not mails or job.state is not State.COMPLETED
            count.copies += max(0, len(mails) - 1)
            count.differing += len(set(mails)) > 1
            assert len(mails) - 1 <= doubts, f"{job.id}: {len(mails)} copies, {doubts} times in doubt"
        assert not taken, "a mail that nobody asked for"
        return count


def recipient(mail: bytes) -> str:
    """Whom a mail is to."""
    return mail.partition(b"\r\nTo: ")[2].partition(b"\r\n")[0].decode()


def alive(pid: int) -> bool:
    """Whether a worker of ours still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    """A Valkey (AOF always), a server and a nursery of workers."""
    with tempfile.TemporaryDirectory(prefix="yb") as path:
        valkey = ValkeyServer(Path(path))
        valkey.start()
        queue = Queue(valkey.url, lease=LEASE)
        pipe = asyncio.subprocess.PIPE
        nursery = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.mailer", stdin=pipe, stdout=pipe, start_new_session=True
        )
        try:
            async with Scripted() as sink:
                yield Stage(Path(path), valkey, queue, sink, nursery)
                check_consistent(valkey.url, queue.tag)
        finally:
            nursery.kill()
            await nursery.wait()
            await queue.close()
            valkey.stop()


def check(count: Count, points: tuple[str, ...]) -> None:
    """Raises `AssertionError` where a promise was broken."""
    assert count.missing == 0, f"{count.missing} mails are missing: {count}"
    assert count.differing == 0, f"{count.differing} second copies differ: {count}"
    assert count.copies <= count.ambiguous, f"copies that nobody counted: {count}"
    assert count.copies == 0 or COPIES_AT & set(points), f"a second copy where there must be none: {count}"


async def campaign(size: int) -> int:
    """Each point in turn, until `size` mails were asked for; the number of points where a promise was broken."""
    columns = ("kills", "mails", "crashed", "ambiguous", "copies", "missing", "differing")
    print("| killed | " + " | ".join(columns).replace("ambiguous", AMBIGUOUS_TOTAL) + " |")
    print("|---|" + "---|" * len(columns), flush=True)
    total, broken = Counter[str](), 0
    # One mail in flight, so that it is known where it was; and at last five, which are at several points at once.
    series = [(point, (point,) * VICTIMS, 1) for point in POINTS] + [("at all of them, 5 mails at once", POINTS, 5)]
    async with stage() as it:
        for name, points, concurrency in series:
            sum_of = Counter[str]()
            try:
                for _ in range(max(1, round(size / len(series) / ROUND))):
                    count = await it.round(points, ROUND, concurrency)
                    check(count, points)
                    sum_of.update(vars(count))
            except AssertionError as error:
                broken += 1
                print(f"| {name} | BROKEN: {error} |", flush=True)
                continue
            print(f"| {name} | " + " | ".join(str(sum_of[column]) for column in columns) + " |", flush=True)
            total.update(sum_of)
    print("| all | " + " | ".join(str(total[column]) for column in columns) + " |")
    return broken


def main() -> int:
    """The exit status is 0 where no promise was broken."""
    parser = argparse.ArgumentParser(description="Kill -9 at each point of a mail's way, and count.")
    parser.add_argument("--size", type=int, default=4000, help="mails in all")
    broken = asyncio.run(campaign(parser.parse_args().size))
    print(f"{broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
