"""The counts of each minute, written with the rows in one transaction: so they are exact, whatever is told twice."""

from typing import Any

import msgspec
from sqlalchemy import Connection, Select, delete, func, select

from yellowbooks.joblog.histogram import Counts, add
from yellowbooks.joblog.table import insert_for, job_key, job_log, job_minute, milliseconds_of, moment_of
from yellowbooks.joblog.tally import COUNTED, Minute, Tally

KEPT = 31 * 86_400_000  # ms
_STEPS = msgspec.json.Decoder(Counts, strict=False)
LIVING = ("scheduled", "enqueued", "processing", "retrying")


class MinuteCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in the minute that began `at` (ms since 1970); for `waits` and `runs` see `histogram`."""

    at: int
    admitted: int
    completed: int
    failed: int
    deferred: int
    crashed: int
    died: int
    cancelled: int
    requeued: int
    waits: Counts
    runs: Counts

    @property
    def grown(self) -> int:
        """By how many the jobs that are not at their end grew."""
        return self.admitted + self.requeued - self.completed - self.died - self.cancelled


def write_tally(connection: Connection, dialect: str, tally: Tally) -> None:
    """Add a batch's keys and counts, in the transaction of its rows, in which nobody else writes."""
    if tally.keys:
        rows = [{"key": key, "created_at": moment_of(at), "job_id": job_id} for key, at, job_id in tally.keys]
        connection.execute(insert_for(dialect, job_key).on_conflict_do_nothing(), rows)
    for at, minute in tally.minutes.items():
        before = connection.execute(select(job_minute).where(job_minute.c.minute == moment_of(at))).one_or_none()
        if before is None:
            connection.execute(job_minute.insert(), {"minute": moment_of(at)} | _values(minute, None))
            connection.execute(delete(job_minute).where(job_minute.c.minute < moment_of(at - KEPT)))
        else:
            changed = job_minute.update().where(job_minute.c.minute == moment_of(at))
            connection.execute(changed.values(_values(minute, minute_in(before))))


def since(at: int) -> Select[Any]:
    """The minutes that began at `at` (ms) or later, in order."""
    return select(job_minute).where(job_minute.c.minute >= moment_of(at)).order_by(job_minute.c.minute)


def ended_since(at: int) -> Select[Any]:
    """How many completed and how many were cancelled in the minutes since `at` (ms)."""
    sums = [func.coalesce(func.sum(job_minute.c[name]), 0) for name in ("completed", "cancelled")]
    return select(*sums).where(job_minute.c.minute >= moment_of(at))


def living() -> Select[Any]:
    """How many jobs are not at their end."""
    return select(func.count()).select_from(job_log).where(job_log.c.status.in_(LIVING))


def minute_in(found: Any) -> MinuteCounts:
    """The minute that `since` found."""
    counts = {name: getattr(found, name) for name in COUNTED.values()}
    waits, runs = _STEPS.decode(found.waits), _STEPS.decode(found.runs)
    return MinuteCounts(at=milliseconds_of(found.minute) or 0, **counts, waits=waits, runs=runs)


def _values(minute: Minute, before: MinuteCounts | None) -> dict[str, Any]:
    counts = {name: count + (getattr(before, name) if before else 0) for name, count in minute.counts.items()}
    waits = add([minute.waits, before.waits if before else {}])
    runs = add([minute.runs, before.runs if before else {}])
    return counts | {"waits": msgspec.json.encode(waits).decode(), "runs": msgspec.json.encode(runs).decode()}
