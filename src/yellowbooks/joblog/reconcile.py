"""Holds the queue and the job log against each other, and mends what stands in one of them only.

The log is written from the queue's events, so what it lacks is either on its way, in the stream, or was lost on it; and
what it has alone is a job that the queue lost. Both are walked page by page: memory does not grow with the jobs.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial

import msgspec

from yellowbooks.joblog.fold import ENDED, place
from yellowbooks.joblog.log import JobLog
from yellowbooks.joblog.lost import FIRST, Known, Place
from yellowbooks.joblog.minutes import LIVING
from yellowbooks.joblog.telling import missing
from yellowbooks.jobs import Event, Queue, Standing, absent, bring_back, know_again, note_partitions, parts_of, standing

PAGE = 500
WINDOW = 7 * 86_400_000  # ms: how long an id is known
LOST = "lost: the queue lost it, and the job log has not what was sent; send it again where it is still wanted"

BACK = {
    "would": "comes back with --rebuild",
    "restored": "restored",
    "held": "held: in doubt, for a person",
    "unreadable": "left: what was sent cannot be read any more",
}


class Finding(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One job of which the two tell different things.

    `what`: «unwritten» (the log has no row), «behind» (the log lacks events), «older» (the queue is older than the
    log), «lost» (the log says that it waits or runs, and the queue does not know it) or «dead» (a dead letter that the
    queue lost). `done` is what was done, or would be.
    """

    job_id: str
    what: str
    queue: str | None
    log: str | None
    done: str


class Counts(msgspec.Struct, kw_only=True):
    """How many jobs were looked at, how many differ in each way, and what was done about them."""

    in_queue: int = 0
    in_log: int = 0
    unwritten: int = 0
    behind: int = 0
    older: int = 0
    lost: int = 0
    dead: int = 0
    written: int = 0
    restored: int = 0
    held: int = 0
    closed: int = 0
    known: int = 0

    @property
    def found(self) -> int:
        """How many differ."""
        return self.unwritten + self.behind + self.older + self.lost + self.dead

    @property
    def left(self) -> int:
        """How many differ still."""
        return self.found - self.written - self.restored - self.held - self.closed


class Reconciler:
    """Compares; with `mend` the log gets what it lacks, with `rebuild` the queue does too.

    `keep` is that of the recorder, `windows` has the unique windows (s) of the kinds that have one. `hear` is told each
    finding as it is made. Every method raises `QueueUnavailable` and `LogUnavailable`; what was done stays done.
    """

    def __init__(
        self, queue: Queue, log: JobLog, *, mend: bool, rebuild: bool, keep: str, windows: Mapping[str, float],
        hear: Callable[[Finding], None],
    ) -> None:  # fmt: skip
        self._queue = queue
        self._log = log
        self._rebuild = rebuild
        self._mend = mend or rebuild
        self._keep = keep
        self._windows = windows
        self._hear = hear
        self.counts = Counts()

    async def run(self) -> Counts:
        """All of it: what the queue lost first, then what the log lacks."""
        if self._rebuild:
            await note_partitions(self._queue)
        for status in LIVING:
            async for page in self._pages(status):
                await self._of_log(page, "lost")
        if self._rebuild:
            async for page in self._pages(None):
                await self._of_log(page, "dead")
            await self._know_again()
        for part in parts_of(self._queue):
            async for some in standing(part, sealed=self._keep == "sealed"):
                await self._of_queue(part, some)
        return self.counts

    async def _pages(self, status: str | None, after: Place = FIRST) -> AsyncIterator[list[Place]]:
        while True:
            ask = self._log.dead_places if status is None else partial(self._log.places, status)
            page = await asyncio.to_thread(ask, after, PAGE)
            if page:
                yield page
            if len(page) < PAGE:
                return
            after = page[-1]

    async def _of_log(self, page: Sequence[Place], what: str) -> None:
        """What the log says of jobs that the queue does not have; those that ended in between are read again."""
        self.counts.in_log += len(page)
        gone = await absent(self._queue, [job_id for _, job_id in page])
        known = await asyncio.to_thread(self._log.known, gone)
        wanted = LIVING if what == "lost" else ("dead",)
        lost = [one for one in known.values() if one.row.status in wanted]
        back = [one for one in lost if one.body]
        if back:
            await self._bring_back(back, what)
        if others := [one for one in lost if not one.body]:
            await self._close(others)

    async def _bring_back(self, lost: Sequence[Known], what: str) -> None:
        answers = ["would"] * len(lost)
        if self._rebuild:
            lost = sorted(lost, key=lambda one: one.row.created_at)
            after = max(int(one.row.last_event[:16]) for one in lost)
            pairs = [(one.job, one.body or b"") for one in lost]
            answers = await bring_back(self._queue, pairs, self._windows, after)
        for one, answer in zip(lost, answers, strict=True):
            if answer == "there":
                continue  # it came back in between
            self._count(what, restored=answer == "restored", held=answer == "held")
            self._hear(Finding(job_id=one.row.job_id, what=what, queue=None, log=one.row.status, done=BACK[answer]))

    async def _close(self, lost: Sequence[Known]) -> None:
        """What the log has no payload of can only be told as lost: dead, of the cause «lost»."""
        if self._mend:
            await asyncio.to_thread(self._log.append, [_closing(one) for one in lost])
        for one in lost:
            self._count("lost", closed=self._mend)
            done = "closed as dead, lost" if self._mend else "is closed as dead with --mend: nothing to make it from"
            self._hear(Finding(job_id=one.row.job_id, what="lost", queue=None, log=one.row.status, done=done))

    async def _know_again(self) -> None:
        since = round(time.time() * 1000) - WINDOW
        for status in (*ENDED, "dead"):
            async for page in self._pages(status, (since, "")):
                ended = await self._really(page) if status == "dead" else page
                self.counts.known += (await know_again(self._queue, ended)).count("known")

    async def _really(self, page: Sequence[Place]) -> list[Place]:
        """Without those that were closed as lost: whoever sends one again shall find it taken in."""
        known = await asyncio.to_thread(self._log.known, [job_id for _, job_id in page])
        return [(at, job_id) for at, job_id in page if job_id in known and known[job_id].job.cause != "lost"]

    async def _of_queue(self, part: Queue, some: Sequence[Standing]) -> None:
        """What the queue says of jobs, against their rows. What is still in the stream is on its way, not missing."""
        self.counts.in_queue += len(some)
        oldest = await part.read(0.01, entries=1)  # after the records: what was told since is newer
        floor = place(oldest[0].position) if oldest else None
        ids = [one.job.id for one in some]
        known = await asyncio.to_thread(self._log.known, ids)
        told: list[tuple[Standing, str]] = []
        for one in some:
            row, at = known.get(one.job.id), place(one.position)
            if one.shredded or (floor and at >= floor):
                continue
            what = _difference(one, row, at)
            if what == "older" and not await self._goes_on(part, one):
                self._count(what)
                self._say(one, row, what, "left: the log knows more; see whether an old copy of the queue was restored")
            elif what and what != "older":
                told.append((one, what))
        if told:
            await self._tell(told, known)
        if self._mend:
            await self._write_bodies(some, known)

    async def _goes_on(self, part: Queue, one: Standing) -> bool:
        """Whether it ended since it was looked at, and so the log is as right as the queue."""
        job = await part.show(one.job.id)
        return job is None or job.state.value in ENDED

    async def _tell(self, told: Sequence[tuple[Standing, str]], known: Mapping[str, Known]) -> None:
        written: list[str] = []
        if self._mend:
            stories = [(one.job, one.position) for one, _ in told]
            written = await asyncio.to_thread(self._log.retell, stories, self._bodies([one for one, _ in told]))
        for one, what in told:
            self._count(what, written=one.job.id in written)
            done = "written" if one.job.id in written else "is written with --mend"
            self._say(one, known.get(one.job.id), what, done)

    async def _write_bodies(self, some: Sequence[Standing], known: Mapping[str, Known]) -> None:
        """Where payloads were not kept before, or have another seal by now, the log has them from now on."""
        bodies = self._bodies(some)
        other = {job_id: body for job_id, body in bodies.items() if job_id in known and known[job_id].body != body}
        if other:
            await asyncio.to_thread(self._log.keep_bodies, other)

    def _bodies(self, some: Sequence[Standing]) -> dict[str, bytes]:
        return {} if self._keep == "none" else {one.job.id: one.body for one in some if one.body}

    def _count(self, what: str, **done: bool) -> None:
        for name in (what, *(name for name, true in done.items() if true)):
            setattr(self.counts, name, getattr(self.counts, name) + 1)

    def _say(self, one: Standing, row: Known | None, what: str, done: str) -> None:
        log = row.row.status if row else None
        self._hear(Finding(job_id=one.job.id, what=what, queue=one.job.state, log=log, done=done))


def _difference(one: Standing, known: Known | None, at: str) -> str | None:
    if known is None:
        return "unwritten"
    if known.row.last_event > at:
        return "older" if _ended(known) and not _ended_here(one) else None
    if known.row.last_event < at or known.row.created_at != one.job.created:
        return "behind"
    return "behind" if missing(one.job.history, known.history) else None


def _ended(known: Known) -> bool:
    return known.row.status in ENDED


def _ended_here(one: Standing) -> bool:
    return one.job.state.value in ENDED


def _closing(known: Known) -> Event:
    row = known.row
    at, seq = row.last_event.split("-")
    return Event(
        job=row.job_id, name="died", at=round(time.time() * 1000), kind=row.kind, state="dead", attempt=row.attempts,
        max_attempts=row.max_attempts, error=LOST, cause="lost", position=f"{int(at)}-{int(seq) + 1}",
    )  # fmt: skip
