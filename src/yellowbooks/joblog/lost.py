"""Rows for who compares the log with the queue: those that live, page by page, and what made them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row as Found
from sqlalchemy import Select, and_, or_, select

from yellowbooks.joblog.fold import Row
from yellowbooks.joblog.table import job_body, job_log, job_of, milliseconds_of, moment_of
from yellowbooks.jobs import Event, Job

Place = tuple[int, str]  # when a job was admitted (ms since 1970), its id
FIRST: Place = (0, "")


class Known(NamedTuple):
    """A job as the log has it: its row, the same as a job, and what its caller sent, if that is kept."""

    row: Row
    job: Job
    body: bytes | None

    @property
    def history(self) -> tuple[Event, ...]:
        """What happened to it."""
        return self.job.history


def page_of_status(status: str, after: Place, limit: int) -> Select[Any]:
    """Jobs of a status after a place, in order of their admission: their ids and when they were admitted."""
    at, created = moment_of(after[0]), job_log.c.created_at
    beyond = or_(created > at, and_(created == at, job_log.c.job_id > after[1]))
    query = select(job_log.c.job_id, created, job_log.c.last_event).where(job_log.c.status == status, created >= at)
    return query.where(beyond).order_by(created, job_log.c.job_id).limit(limit)


def page_of_dead(after: Place, limit: int) -> Select[Any]:
    """Dead jobs whose body is kept, in order of their death: their ids and when they died."""
    at, died = moment_of(after[0]), job_body.c.dead_at
    beyond = or_(died > at, and_(died == at, job_body.c.job_id > after[1]))
    query = select(job_body.c.job_id, died.label("created_at")).where(died.is_not(None), died >= at)
    return query.where(beyond).order_by(died, job_body.c.job_id).limit(limit)


def known_jobs(job_ids: Sequence[str]) -> Select[Any]:
    """All that the log has of these jobs."""
    joined = select(job_log, job_body.c.body).join(job_body, job_body.c.job_id == job_log.c.job_id, isouter=True)
    return joined.where(job_log.c.job_id.in_(job_ids))


def known_in(found: Found[Any]) -> Known:
    """The job in a row that `known_jobs` found."""
    values = dict(found._mapping)
    body = values.pop("body")
    values.pop("history")
    for name in ("created_at", "started_at", "processed_at", "next_attempt_at"):
        values[name] = milliseconds_of(values[name])
    return Known(Row(**values), job_of(found), body)


def place_in(found: Found[Any]) -> Place:
    """The place of a row that a page found."""
    return milliseconds_of(found.created_at) or 0, found.job_id
