"""Finding jobs: by what they are found by, and in lists with filters; each statement by an index of its own."""

from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Row as Found
from sqlalchemy import Select, and_, or_, select

from yellowbooks.joblog.table import job_key, job_log, milliseconds_of, moment_of

MOST = 200
_COLUMNS = [
    job_log.c[name]
    for name in (
        "job_id", "kind", "status", "attempts", "max_attempts", "created_at", "error", "last_event",
        "request_id", "ref",
    )
]  # fmt: skip


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job as a list shows it. Times are milliseconds since 1970; `ref` is the first key that it is found by."""

    job_id: str
    kind: str
    status: str
    attempts: int
    max_attempts: int
    created: int
    updated: int
    error: str | None
    request_id: str | None
    ref: str | None


@dataclass(frozen=True, slots=True)
class Listed:
    """Which jobs a list has: all of what is given. Times are milliseconds since 1970 of the admission, `error` is a
    part of the error (any case), `before` the place (time, id) after which the page begins."""

    status: str | None = None
    kind: str | None = None
    since: int | None = None
    until: int | None = None
    error: str | None = None
    before: tuple[int, str] | None = None


def page_of(listed: Listed, limit: int) -> Select[Any]:
    """The newest jobs of a list."""
    query = select(*_COLUMNS).order_by(job_log.c.created_at.desc(), job_log.c.job_id.desc()).limit(limit)
    if listed.status is not None:
        query = query.where(job_log.c.status == listed.status)
    if listed.kind is not None:
        query = query.where(job_log.c.kind == listed.kind)
    if listed.since is not None:
        query = query.where(job_log.c.created_at >= moment_of(listed.since))
    if listed.until is not None:
        query = query.where(job_log.c.created_at < moment_of(listed.until))
    if listed.error is not None:
        query = query.where(job_log.c.error.is_not(None), job_log.c.error.icontains(listed.error, autoescape=True))
    if listed.before is not None:
        at, job_id = moment_of(listed.before[0]), listed.before[1]
        created = job_log.c.created_at
        query = query.where(created <= at, or_(created < at, and_(created == at, job_log.c.job_id < job_id)))
    return query


def found_by_key(key: str, limit: int) -> Select[Any]:
    """The newest jobs of a key."""
    newest = job_key.c.created_at.desc(), job_key.c.job_id.desc()
    found = select(job_key).where(job_key.c.key == key).order_by(*newest).limit(limit).subquery()
    same = and_(found.c.job_id == job_log.c.job_id, found.c.created_at == job_log.c.created_at)
    return select(*_COLUMNS).join(found, same).order_by(found.c.created_at.desc(), found.c.job_id.desc())


def found_by_request(name: str, limit: int) -> Select[Any]:
    """The jobs that a request of this name brought."""
    return select(*_COLUMNS).where(job_log.c.request_id == name).order_by(job_log.c.created_at.desc()).limit(limit)


def found_by_id(job_id: str) -> Select[Any]:
    """The job of an id."""
    return select(*_COLUMNS).where(job_log.c.job_id == job_id)


def row_in(found: Found[Any]) -> JobRow:
    """The row that a statement of this file found."""
    return JobRow(
        job_id=found.job_id, kind=found.kind, status=found.status, attempts=found.attempts,
        max_attempts=found.max_attempts, created=milliseconds_of(found.created_at) or 0,
        updated=int(found.last_event[:16]), error=found.error, request_id=found.request_id, ref=found.ref,
    )  # fmt: skip
