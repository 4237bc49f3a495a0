"""The dead letter queue as an operator works on it: find by cause, age and kind; see causes; what passes by itself."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

from yellowbooks.jobs.job import Job
from yellowbooks.jobs.kind import Recovery
from yellowbooks.jobs.queue import Queue

PAGE = 500
BY_RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead jobs: all of what is given. `cause` is the beginning of a cause, `error` a part of the error (any
    case), `release` the version of the code that failed; `died_after` and `died_before` are ms since 1970;
    `cause_is` is a whole cause."""

    kind: str | None = None
    cause: str | None = None
    error: str | None = None
    release: str | None = None
    died_after: int | None = None
    died_before: int | None = None
    cause_is: str | None = None

    def fits(self, job: Job) -> bool:
        """Whether this job is wanted."""
        died = job.ended or 0
        return (
            (self.kind is None or job.kind == self.kind)
            and (self.cause is None or (job.cause or "").startswith(self.cause))
            and (self.cause_is is None or (job.cause or "") == self.cause_is)
            and (self.error is None or self.error.casefold() in (job.error or "").casefold())
            and (self.release is None or (job.failed is not None and job.failed.release == self.release))
            and (self.died_after is None or died >= self.died_after)
            and (self.died_before is None or died < self.died_before)
        )


class Fingerprint(NamedTuple):
    """What dead jobs have in common: their kind, the cause (what the handler said, or the error without its numbers),
    and the release that failed."""

    kind: str
    cause: str
    release: str


async def find(queue: Queue, wanted: Wanted = Wanted(), cursor: str | None = None) -> AsyncIterator[Job]:
    """The dead jobs that are wanted, newest first. Requeue the ids of this list, and the count is what was shown.

    `cursor` is that of an earlier page. Raises `ValueError` where it is none.
    """
    while True:
        jobs, cursor, _ = await queue.dead(PAGE, cursor)
        for job in jobs:
            if wanted.fits(job):
                yield job
        if cursor is None:
            return


async def causes(queue: Queue, wanted: Wanted = Wanted()) -> list[tuple[Fingerprint, int]]:
    """What the dead jobs died of, and how many of it, the most frequent first."""
    counts: Counter[Fingerprint] = Counter()
    async for job in find(queue, wanted):
        release = (job.failed.release if job.failed else None) or ""
        counts[Fingerprint(job.kind, job.cause or "", release)] += 1
    return counts.most_common()


async def recover(queue: Queue, kind: str, recovery: Recovery) -> int:
    """Requeue what died of a cause that has passed, at the recovery's pace and as often as it allows; how many."""
    ids = [
        job.id
        async for job in find(queue, Wanted(kind=kind))
        if (job.cause or "").startswith(recovery.causes) and _recovered(job) < recovery.times
    ]
    answers = await queue.requeue(ids, pace=recovery.pace, by=BY_RECOVERY)
    return answers.count("requeued")


def _recovered(job: Job) -> int:
    return sum(event.name == "requeued" and event.by == BY_RECOVERY for event in job.history)
