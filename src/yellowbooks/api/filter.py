"""Which dead jobs an act is on."""

from datetime import datetime
from typing import Annotated

import msgspec

from yellowbooks.jobs import Fault, Invalid, Job, Queue, State, Wanted, find, tally

SLOWEST = 0.001  # jobs a second: a slower pace is a discard
WITHOUT_NUL = "^[^\\x00]*$"
"""No database takes a NUL in a text."""

Moment = Annotated[datetime, msgspec.Meta(extra_json_schema={"format": "date-time"})]  # with its offset


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """Which dead jobs: all of what is given, the newest `limit` of them; of `ids` only.

    `error` is a part of the error (any case), `cause` the beginning of a cause, `causeIs` a whole one. They run again
    at `pace` jobs a second, or at once. With `preview` nothing moves: the answer has the count and a `diedBefore`, and
    the same filter with that moment in it moves what was counted and nothing that died since. With `delay` (s) it is
    done then, unless it is taken back before. `reason` stands in the trail.
    """

    error: str | None = None
    cause: str | None = None
    cause_is: str | None = None
    kind: str | None = None
    release: str | None = None
    died_after: Moment | None = None
    died_before: Moment | None = None
    ids: Annotated[list[Annotated[str, msgspec.Meta(max_length=128)]], msgspec.Meta(max_length=1000)] | None = None
    limit: Annotated[float, msgspec.Meta(ge=1, le=1_000_000, multiple_of=1)] | None = None
    pace: Annotated[float, msgspec.Meta(ge=SLOWEST)] | None = None
    preview: bool = False
    delay: Annotated[float, msgspec.Meta(gt=0, le=3600)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500, extra_json_schema={"pattern": WITHOUT_NUL})] = ""

    @property
    def most(self) -> int | None:
        """The limit as a count: in JSON 5.0 is a whole number too."""
        return None if self.limit is None else int(self.limit)

    def wanted(self) -> Wanted:
        """The filter as the engine has it. Raises `Invalid` where a time has no offset."""
        return Wanted(
            kind=self.kind,
            cause=self.cause,
            cause_is=self.cause_is,
            error=self.error,
            release=self.release,
            died_after=milliseconds("diedAfter", self.died_after),
            died_before=milliseconds("diedBefore", self.died_before),
        )

    def text(self) -> str:
        """The filter in short, as the trail has it: one job's id, or JSON without what is no filter."""
        if self.ids is not None and len(self.ids) == 1:
            return self.ids[0]
        return msgspec.json.encode(msgspec.structs.replace(self, preview=False, delay=None, reason="")).decode()


async def chosen_jobs(queue: Queue, chosen: Filter) -> list[Job]:
    """The dead jobs that a filter means now. Raises `Invalid` where a time has no offset."""
    wanted, jobs = chosen.wanted(), list[Job]()
    if chosen.ids is not None:
        shown = [job for job_id in dict.fromkeys(chosen.ids) if (job := await queue.show(job_id))]
        return [job for job in shown if job.state is State.DEAD and wanted.fits(job)][: chosen.most]
    async for job in find(queue, wanted):
        if chosen.most is not None and len(jobs) >= chosen.most:
            break
        jobs.append(job)
    return jobs


async def counted(queue: Queue, chosen: Filter) -> tuple[int, int]:
    """How many dead jobs a filter means now, and when the newest of them died (ms since 1970; 0: it means none).

    Raises `Invalid` where a time has no offset.
    """
    if chosen.ids is None:
        count, newest = await tally(queue, chosen.wanted())
        return min(count, chosen.most or count), newest
    jobs = await chosen_jobs(queue, chosen)
    return len(jobs), max((job.ended or 0 for job in jobs), default=0)


def milliseconds(field: str, moment: datetime | None) -> int | None:
    """A moment of a request as ms since 1970. Raises `Invalid` where it has no offset."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise Invalid([Fault(field, "has no offset; send one such as 2025-12-18T23:00:00Z")])
    return round(moment.timestamp() * 1000)
