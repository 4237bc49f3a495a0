"""Rows that go: those about somebody who asked for it, and those whose time is over; the counts of minutes stay."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, or_, select

from yellowbooks.joblog.bodies import drop_bodies
from yellowbooks.joblog.table import job_key, job_log, milliseconds_of, moment_of, operator_act
from yellowbooks.jobs import State

AT_ONCE = 500  # ids in one statement
ENDED = (State.COMPLETED.value, State.CANCELLED.value, State.DEAD.value)
Key = tuple[str, int, str]  # a row of `job_key`: key, time (ms), job


def jobs_about(connection: Connection, keys: Collection[str], job_ids: Collection[str]) -> list[str]:
    """The jobs with a row that are found by one of the keys, and those of the ids that have a row."""
    same = and_(job_key.c.job_id == job_log.c.job_id, job_key.c.created_at == job_log.c.created_at)
    found: set[str] = set()
    for some in _chunks(sorted(keys)):
        found.update(
            connection.execute(select(job_log.c.job_id).join(job_key, same).where(job_key.c.key.in_(some))).scalars()
        )
    for some in _chunks(sorted(job_ids)):
        found.update(connection.execute(select(job_log.c.job_id).where(job_log.c.job_id.in_(some))).scalars())
    return sorted(found)


def keys_left(connection: Connection, keys: Collection[str]) -> int:
    """How many rows of the search the keys have, also those of jobs that have no row any more."""
    rows = (
        connection.execute(select(job_key.c.key).where(job_key.c.key.in_(some))).all() for some in _chunks(sorted(keys))
    )
    return sum(len(some) for some in rows)


def erase_jobs(connection: Connection, keys: Collection[str], job_ids: Sequence[str]) -> int:
    """Take the rows of these jobs, with all that they are found by, and every row of the keys; how many jobs."""
    count = 0
    drop_bodies(connection, job_ids)
    for some in _chunks(job_ids):
        count += connection.execute(delete(job_log).where(job_log.c.job_id.in_(some))).rowcount
        connection.execute(delete(job_key).where(job_key.c.job_id.in_(some)))
    for some in _chunks(sorted(keys)):
        connection.execute(delete(job_key).where(job_key.c.key.in_(some)))
    return count


def acts_that_name(connection: Connection, words: Collection[str]) -> list[int]:
    """The places of the operators' acts in whose texts one of these words stands by itself."""
    columns = (operator_act.c.what, operator_act.c.before, operator_act.c.after, operator_act.c.reason)
    places: set[int] = set()
    for word in words:
        query = select(operator_act.c.id, *columns)
        query = query.where(or_(*(column.icontains(word, autoescape=True) for column in columns)))
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
        places.update(row[0] for row in connection.execute(query) if whole.search("\n".join(map(str, row[1:]))))
    return sorted(places)


def expire_jobs(connection: Connection, before: int, most: int) -> int:
    """Take at most so many rows of ended jobs that were admitted before a moment (ms); how many."""
    wanted = job_log.c.status.in_(ENDED), job_log.c.created_at < moment_of(before)
    oldest = select(job_log.c.job_id).where(*wanted).order_by(job_log.c.created_at).limit(most)
    ids = list(connection.execute(oldest).scalars())
    for some in _chunks(ids):
        connection.execute(delete(job_log).where(job_log.c.job_id.in_(some), *wanted))
    return len(ids)


def expire_keys(connection: Connection, before: int, most: int, after: Key | None) -> tuple[int, Key | None]:
    """Look at so many rows of the search behind a place, in their order, and take those of jobs that were admitted
    before a moment (ms) and have no row any more: how many, and the place where to go on (None: it was the end).

    They have no index by time: one would cost each job more than this walk does.
    """
    key, created, job = job_key.c.key, job_key.c.created_at, job_key.c.job_id
    query = select(job_key).order_by(key, created, job).limit(most)
    if after is not None:
        at = moment_of(after[1])
        behind = or_(created > at, and_(created == at, job > after[2]))
        query = query.where(key >= after[0], or_(key > after[0], behind))
    rows = connection.execute(query).all()
    old = [row for row in rows if row.created_at < moment_of(before)]
    living = set(jobs_about(connection, (), {row.job_id for row in old}))
    old = [row for row in old if row.job_id not in living]
    if old:
        one = and_(key == bindparam("k"), created == bindparam("c"), job == bindparam("j"))
        connection.execute(delete(job_key).where(one), [{"k": r.key, "c": r.created_at, "j": r.job_id} for r in old])
    if len(rows) < most:
        return len(old), None
    return len(old), (rows[-1].key, milliseconds_of(rows[-1].created_at) or 0, rows[-1].job_id)


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[n : n + AT_ONCE] for n in range(0, len(items), AT_ONCE))
