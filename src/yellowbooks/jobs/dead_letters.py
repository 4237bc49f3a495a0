"""The dead letter queue as an operator works on it: find by cause, age and kind; see causes; what passes by itself.

Jobs that died of the same stand together (see `group.lua`), so that causes are counted without reading a job, and one
is listed without reading others. Only words of an error are looked for in every job that the rest of a filter leaves.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from yellowbooks.jobs.graves import PLACES
from yellowbooks.jobs.job import Job, State
from yellowbooks.jobs.kind import Recovery
from yellowbooks.jobs.partitions import parts_of
from yellowbooks.jobs.queue import Queue
from yellowbooks.jobs.verbs import Group

PAGE = 500
MOST_LINES = 64  # groups that are read side by side; of more, every dead job is looked at
BY_RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead jobs: all of what is given. `cause` is the beginning of a cause (or of one of several), `error` a part
    of the error (any case), `release` the version of the code that failed; `died_after` and `died_before` are ms since
    1970; `cause_is` is a whole cause."""

    kind: str | None = None
    cause: str | tuple[str, ...] | None = None
    error: str | None = None
    release: str | None = None
    died_after: int | None = None
    died_before: int | None = None
    cause_is: str | None = None

    def fits(self, job: Job) -> bool:
        """Whether this job is wanted."""
        release = job.failed.release if job.failed else None
        died = job.ended or 0
        return (
            self.means(job.kind, job.cause or "", release or "")
            and self.says(job)
            and (self.died_after is None or died >= self.died_after)
            and (self.died_before is None or died < self.died_before)
        )

    def means(self, kind: str, cause: str, release: str) -> bool:
        """Whether jobs with this fingerprint are wanted."""
        return (
            (self.kind is None or kind == self.kind)
            and (self.cause is None or cause.startswith(self.cause))
            and (self.cause_is is None or cause == self.cause_is)
            and (self.release is None or release == self.release)
        )

    def says(self, job: Job) -> bool:
        """Whether the job's error has the words."""
        return self.error is None or self.error.casefold() in (job.error or "").casefold()

    @property
    def narrow(self) -> bool:
        """Whether some fingerprints are not wanted."""
        return any(one is not None for one in (self.kind, self.cause, self.cause_is, self.release))

    @property
    def bounds(self) -> tuple[int | None, int | None]:
        """The places from which on, and below which, the wanted died."""
        return _place(self.died_after), _place(self.died_before)


class Fingerprint(NamedTuple):
    """What dead jobs have in common: their kind, the cause (what the handler said, or the error without its numbers),
    and the release that failed."""

    kind: str
    cause: str
    release: str


@dataclass(frozen=True, slots=True)
class Cause:
    """What jobs died of, how many, and when the newest did (ms since 1970)."""

    fingerprint: Fingerprint
    count: int
    newest: int


async def find(
    queue: Queue, wanted: Wanted = Wanted(), cursor: str | None = None, page: int = PAGE
) -> AsyncIterator[Job]:
    """The dead jobs that are wanted, newest first. Requeue the ids of this list, and the count is what was shown.

    `cursor` is that of an earlier page; `page` is how many jobs are read at once. Raises `ValueError` where the cursor
    is none.
    """
    above, below = wanted.bounds
    if cursor:
        below = min(int(cursor), int(cursor) if below is None else below)
    groups = [""]
    if wanted.narrow:
        groups = [group.id for group in await queue.group(above, below) if _meant(wanted, group)]
    whole = len(groups) > MOST_LINES
    lines = [
        _Line(part, group, above, below, page) for part in parts_of(queue) for group in ([""] if whole else groups)
    ]
    async for some in _together(lines, page):
        for place, job in await _read(some):
            # One that has died again since, of something else, has another place.
            if wanted.fits(job) if whole else wanted.says(job) and (not wanted.narrow or job.ended == place // PLACES):
                yield job


async def page_of(
    queue: Queue, limit: int, cursor: str | None = None, wanted: Wanted = Wanted()
) -> tuple[list[Job], str | None, int]:
    """As `Queue.dead`, of the wanted; a page has all that died in the millisecond of its last."""
    if wanted == Wanted():
        return await queue.dead(limit, cursor)
    jobs: list[Job] = []
    following = None
    async for job in find(queue, wanted, cursor, min(limit + 1, PAGE)):
        if len(jobs) >= limit and job.ended != jobs[-1].ended:
            following = str((jobs[-1].ended or 0) * PLACES)
            break
        jobs.append(job)
    return jobs, following, (await tally(queue, wanted))[0]


async def causes(queue: Queue, wanted: Wanted = Wanted()) -> list[Cause]:
    """What the dead jobs died of, and how many of it, the most frequent first."""
    found: dict[Fingerprint, Cause] = {}
    if wanted.error is None:
        for group in await queue.group(*wanted.bounds):
            if _meant(wanted, group):
                fingerprint = Fingerprint(group.kind, group.cause, group.release)
                found[fingerprint] = Cause(fingerprint, group.count, group.newest // PLACES)
    else:
        async for job in find(queue, wanted):
            release = (job.failed.release if job.failed else None) or ""
            fingerprint = Fingerprint(job.kind, job.cause or "", release)
            known = found.get(fingerprint, Cause(fingerprint, 0, job.ended or 0))
            found[fingerprint] = replace(known, count=known.count + 1)
    return sorted(found.values(), key=lambda cause: (-cause.count, -cause.newest))


async def tally(queue: Queue, wanted: Wanted = Wanted()) -> tuple[int, int]:
    """How many dead jobs are wanted, and when the newest of them died (ms since 1970; 0: there is none)."""
    found = await causes(queue, wanted)
    return sum(cause.count for cause in found), max((cause.newest for cause in found), default=0)


async def recover(queue: Queue, kind: str, recovery: Recovery, looked: dict[str, int] | None = None) -> int:
    """Requeue what died of a cause that has passed, at the recovery's pace and as often as it allows; how many.

    `looked` keeps until when each partition was looked at: what was left dead then, having recovered as often as it
    may, is not read again.
    """
    ids, newest = list[str](), dict[str, int]()
    for part in parts_of(queue):
        wanted = Wanted(kind=kind, cause=recovery.causes, died_after=(looked or {}).get(part.tag))
        async for job in find(part, wanted):
            newest[part.tag] = max(newest.get(part.tag, 0), job.ended or 0)
            if _recovered(job) < recovery.times:
                ids.append(job.id)
    answers = await queue.requeue(ids, pace=recovery.pace, by=BY_RECOVERY)
    if looked is not None:
        looked |= newest
    return answers.count("requeued")


def _recovered(job: Job) -> int:
    return sum(event.name == "requeued" and event.by == BY_RECOVERY for event in job.history)


def _meant(wanted: Wanted, group: Group) -> bool:
    return wanted.means(group.kind, group.cause, group.release)


def _place(at: int | None) -> int | None:
    return None if at is None else at * PLACES


Grave = tuple[int, str, Queue]
"""A dead job's place and id, and the partition that has it."""


class _Line:
    """Dead jobs of one group in one partition, newest first, read some at a time."""

    def __init__(self, part: Queue, group: str, above: int | None, below: int | None, page: int) -> None:
        self._part, self._group, self._page = part, group, page
        self._above, self._below = above, below
        self._read: list[tuple[int, str]] = []
        self._ends = False

    async def next(self) -> Grave | None:
        if not self._read and not self._ends:
            found = await self._part.buried(self._page, above=self._above, below=self._below, group=self._group)
            self._ends = len(found) < self._page
            self._below = found[-1][0] if found else self._below
            self._read = found[::-1]
        return (*self._read.pop(), self._part) if self._read else None


async def _together(lines: Sequence[_Line], page: int) -> AsyncIterator[list[Grave]]:
    """All of several lines, newest first, so many at a time."""
    firsts = await asyncio.gather(*(line.next() for line in lines))
    heads = [(-grave[0], n, grave) for n, grave in enumerate(firsts) if grave]
    heapify(heads)
    some: list[Grave] = []
    while heads:
        _, n, grave = heappop(heads)
        some.append(grave)
        if following := await lines[n].next():
            heappush(heads, (-following[0], n, following))
        if len(some) >= page or not heads:
            yield some
            some = []


async def _read(graves: Sequence[Grave]) -> list[tuple[int, Job]]:
    """The jobs, each with its place; one that is not dead any more is left out."""
    asked: dict[Queue, list[str]] = defaultdict(list)
    for _, job_id, part in graves:
        asked[part].append(job_id)
    shown = await asyncio.gather(*(part.shown(ids) for part, ids in asked.items()))
    jobs = {job.id: job for found in shown for job in found if job and job.state is State.DEAD}
    return [(place, jobs[job_id]) for place, job_id, _ in graves if job_id in jobs]
