"""The bodies of jobs that are not at their end, written and dropped in the transactions of their rows."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, delete, select

from yellowbooks.joblog.fold import ENDED, Row
from yellowbooks.joblog.table import insert_for, job_body, moment_of

MOST = 1000  # both databases bound the parameters of a statement


def keep_bodies(
    connection: Connection, dialect: str, rows: Sequence[Row], known: Mapping[str, Row], bodies: Mapping[str, bytes]
) -> None:
    """What these rows change: a job that lives or is dead has its body, one that ended has none any more.

    Most jobs come and end within one batch, and cost nothing here.
    """
    lasting = [row.job_id for row in rows if row.job_id in bodies and row.status not in ENDED]
    write_bodies(connection, dialect, {job_id: bodies[job_id] for job_id in lasting})
    drop_bodies(connection, [row.job_id for row in rows if row.status in ENDED and row.job_id in known])
    turned = [
        {"id": row.job_id, "at": moment_of(row.processed_at or 0) if row.status == "dead" else None}
        for row in rows
        if row.status == "dead" or (row.job_id in known and known[row.job_id].status == "dead")
    ]
    if turned:
        marked = job_body.update().where(job_body.c.job_id == bindparam("id")).values(dead_at=bindparam("at"))
        connection.execute(marked, turned)


def write_bodies(connection: Connection, dialect: str, bodies: Mapping[str, bytes]) -> None:
    """Write bodies, in the place of those that were there."""
    if not bodies:
        return
    statement = insert_for(dialect, job_body)
    upsert = statement.on_conflict_do_update(index_elements=["job_id"], set_={"body": statement.excluded.body})
    connection.execute(upsert, [{"job_id": job_id, "body": body} for job_id, body in bodies.items()])


def drop_bodies(connection: Connection, job_ids: Sequence[str]) -> int:
    """Drop the bodies of these jobs; gives how many there were."""
    dropped = 0
    for start in range(0, len(job_ids), MOST):
        some = job_ids[start : start + MOST]
        dropped += connection.execute(delete(job_body).where(job_body.c.job_id.in_(some))).rowcount
    return dropped


def drop_dead(connection: Connection, before: int) -> int:
    """Drop bodies of jobs that died before a moment (ms since 1970), at most so many at once; gives how many."""
    some = select(job_body.c.job_id).where(job_body.c.dead_at < moment_of(before)).limit(MOST)
    return connection.execute(delete(job_body).where(job_body.c.job_id.in_(some))).rowcount


def bodies_after(job_id: str, most: int) -> Select[Any]:
    """So many bodies, by their ids, behind one."""
    return (
        select(job_body.c.job_id, job_body.c.body)
        .where(job_body.c.job_id > job_id)
        .order_by(job_body.c.job_id)
        .limit(most)
    )


def bodies_of(job_ids: Sequence[str]) -> Select[Any]:
    """The bodies of these jobs."""
    return select(job_body.c.job_id, job_body.c.body).where(job_body.c.job_id.in_(job_ids))
