"""The tables of the job log, what their columns hold, and the statements on its rows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Executable,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Select,
    Table,
    Text,
    bindparam,
    case,
    select,
    text,
)
from sqlalchemy import (
    Row as Found,
)
from sqlalchemy.types import TypeDecorator, TypeEngine

from yellowbooks.joblog.fold import Row
from yellowbooks.joblog.tally import COUNTED
from yellowbooks.jobs import Event, Job, State, failure

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """A moment to the millisecond: timestamptz on PostgreSQL, on SQLite text that sorts. Gives aware UTC.

    Raises `ValueError` for a datetime without a zone.
    """

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The type that the database has."""
        return Text() if dialect.name == "sqlite" else DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """From Python to the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone is no moment; give it one, such as datetime.now(UTC)")
        moment = value.astimezone(UTC)
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        return _as_text(moment) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any, _dialect: Dialect) -> datetime | None:
        """From the database to Python."""
        if value is None:
            return None
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(UTC)


def _as_text(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


metadata = MetaData()
_REQUESTED, _FAILED = text("request_id IS NOT NULL"), text("error IS NOT NULL")
_DEAD = text("dead_at IS NOT NULL")
job_log = Table(
    "job_log",
    metadata,
    Column("job_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("crashes", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("processed_at", UtcTime),
    Column("next_attempt_at", UtcTime),
    Column("error", Text),
    Column("last_event", Text, nullable=False),
    Column("history", Text, nullable=False),
    Column("request_id", Text),
    Column("ref", Text),
    PrimaryKeyConstraint("job_id", name="pk_job_log"),
    CheckConstraint(f"status IN ({', '.join(repr(state.value) for state in State)})", name="ck_job_log_status"),
    Index("ix_job_log_created", "created_at", "job_id"),
    Index("ix_job_log_status", "status", "created_at", "job_id"),
    Index("ix_job_log_kind", "kind", "created_at", "job_id"),
    Index("ix_job_log_request", "request_id", sqlite_where=_REQUESTED, postgresql_where=_REQUESTED),
    Index("ix_job_log_failed", "created_at", "job_id", sqlite_where=_FAILED, postgresql_where=_FAILED),
)
# Keys of the search: hashes, each with its jobs, newest first. `created_at` is the job's: where an id came anew, the
# keys of the one before are not those of a row any more.
job_key = Table(
    "job_key",
    metadata,
    Column("key", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("job_id", Text, nullable=False),
    PrimaryKeyConstraint("key", "created_at", "job_id", name="pk_job_key"),
    sqlite_with_rowid=False,
)
job_minute = Table(
    "job_minute",
    metadata,
    Column("minute", UtcTime, nullable=False),
    *(Column(name, Integer, nullable=False) for name in COUNTED.values()),
    Column("waits", Text, nullable=False),
    Column("runs", Text, nullable=False),
    PrimaryKeyConstraint("minute", name="pk_job_minute"),
)
# What a job's caller sent, while the job is not at its end: enough to make the queue again. A table of its own, as each
# event writes the job's row anew. `dead_at` is when it died: its retention begins there.
job_body = Table(
    "job_body",
    metadata,
    Column("job_id", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("dead_at", UtcTime),
    PrimaryKeyConstraint("job_id", name="pk_job_body"),
    Index("ix_job_body_dead", "dead_at", sqlite_where=_DEAD, postgresql_where=_DEAD),
)
operator_act = Table(
    "operator_act",
    metadata,
    Column("id", Integer, nullable=False, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("reason", Text, nullable=False),
    PrimaryKeyConstraint("id", name="pk_operator_act"),
    Index("ix_operator_act_what", "what", "id"),
)
_TIMES = ("created_at", "started_at", "processed_at", "next_attempt_at")
_WITHOUT_HISTORY = [column for column in job_log.c if column.name != "history"]


def lock_of(dialect: str) -> list[str]:
    """Statements that open a transaction in which nobody else writes to the log."""
    if dialect == "sqlite":
        return ["BEGIN IMMEDIATE"]
    return ["SET LOCAL lock_timeout = '5s'", "SELECT pg_advisory_xact_lock(133463582469991)"]  # the bytes of «ybilog»


def known_of(job_ids: Sequence[str]) -> Select[Any]:
    """Rows of these jobs, without their history, which only grows."""
    return select(*_WITHOUT_HISTORY).where(job_log.c.job_id.in_(job_ids))


def one_of(job_id: str) -> Select[Any]:
    """The whole row of one job."""
    return select(job_log).where(job_log.c.job_id == job_id)


def insert_for(dialect: str, table: Table) -> Any:
    """An insert as the database has it, with `on_conflict_do_update`."""
    # Each dialect costs some MB, so only the one in use is imported.
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415  see above
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]  # noqa: PLC0415  see above
    return insert(table)


def upsert_for(dialect: str, *, newer: bool = True) -> Executable:
    """Writes rows as `values_of` gives them; with `newer` one that is not newer than the table's changes nothing."""
    statement = insert_for(dialect, job_log)
    new = statement.excluded
    changed: dict[str, Any] = {column.name: new[column.name] for column in _WITHOUT_HISTORY}
    del changed["job_id"]
    changed["history"] = case((bindparam("fresh", type_=Boolean), new.history), else_=job_log.c.history + new.history)
    upsert: Executable = statement.on_conflict_do_update(
        index_elements=[job_log.c.job_id], set_=changed, where=job_log.c.last_event < new.last_event if newer else None
    )
    return upsert


def values_of(row: Row) -> dict[str, Any]:
    """What `upsert_for` takes of a row. Raises `OverflowError` for a time after the year 9999."""
    values = msgspec.structs.asdict(row)
    for name in _TIMES:
        if values[name] is not None:
            values[name] = EPOCH + values[name] * MILLISECOND
    return values


def row_of(found: Found[Any]) -> Row:
    """A row that `known_of` found."""
    values = dict(found._mapping)
    for name in _TIMES:
        values[name] = _milliseconds(values[name])
    return Row(**values)


def job_of(found: Found[Any]) -> Job:
    """The job in a row that `one_of` found."""
    values = found._mapping
    history = tuple(_LINES.decode_lines(values["history"]))
    return Job(
        id=values["job_id"],
        kind=values["kind"],
        state=State(values["status"]),
        attempts=values["attempts"],
        max_attempts=values["max_attempts"],
        crashes=values["crashes"],
        generation=1 + sum(event.name == "requeued" for event in history),
        created=_milliseconds(values["created_at"]) or 0,
        started=_milliseconds(values["started_at"]),
        ended=_milliseconds(values["processed_at"]),
        due=_milliseconds(values["next_attempt_at"]),
        failed=failure(history),
        history=history,
    )


def moment_of(milliseconds: int) -> datetime:
    """Milliseconds since 1970 as a moment."""
    return EPOCH + milliseconds * MILLISECOND


def milliseconds_of(moment: datetime | None) -> int | None:
    """A moment as milliseconds since 1970."""
    return _milliseconds(moment)


def _milliseconds(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - EPOCH) // MILLISECOND


_LINES = msgspec.json.Decoder(Event)
