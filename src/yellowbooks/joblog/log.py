"""The door to the job log's database, SQLite or PostgreSQL."""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import Connection, Select, event, select, text
from sqlalchemy.exc import SQLAlchemyError, StatementError

from yellowbooks.joblog.bodies import bodies_after, bodies_of, drop_bodies, drop_dead, keep_bodies
from yellowbooks.joblog.engine import is_of_data, make_engine, name_of, unbound, url_of
from yellowbooks.joblog.erasure import (
    Key,
    acts_that_name,
    erase_jobs,
    expire_jobs,
    expire_keys,
    jobs_about,
    keys_left,
)
from yellowbooks.joblog.fold import fold, place
from yellowbooks.joblog.lost import Known, Place, known_in, known_jobs, page_of_dead, page_of_status, place_in
from yellowbooks.joblog.minutes import MinuteCounts, ended_since, living, minute_in, since, write_tally
from yellowbooks.joblog.search import MOST, JobRow, Listed, found_by_id, found_by_key, found_by_request, page_of, row_in
from yellowbooks.joblog.table import (
    job_key,
    job_of,
    known_of,
    lock_of,
    one_of,
    operator_act,
    row_of,
    upsert_for,
    values_of,
)
from yellowbooks.joblog.tally import Tally
from yellowbooks.joblog.telling import retold
from yellowbooks.joblog.trail import OperatorAct, act_in, act_values, acts_page
from yellowbooks.jobs import Event, Job

HEAD = "0003"  # the newest migration
PATIENCE = 12.0  # seconds
AT_ONCE_SECONDS = 1.0  # that there is no table is said sooner
IDS_AT_ONCE = 1000  # both databases bound the parameters of a statement
NOTHING: Mapping[str, bytes] = MappingProxyType({})
_migrating = threading.Lock()  # Alembic keeps its context in the module


class LogUnavailable(Exception):
    """The job log's database is unreachable, locked, full or refuses; what was not written may be tried again."""


class JobLog:
    """The log of jobs, blocking: call it through `asyncio.to_thread`. Any thread may use it.

    `url` is `sqlite:////absolute/path` or `postgresql://user:password@host:port/database`; nothing is opened
    before the first call. Raises `ValueError` for another one. `patience` is how long (s) PostgreSQL has for an answer;
    it is told to give a statement up a little earlier.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        self._url = url_of(url)
        self._engine = make_engine(self._url, patience)
        self._dialect = self._engine.dialect.name
        self._closed = False
        self._migrated = False
        event.listen(self._engine, "checkin", self._close_late)

    def migrate(self) -> None:
        """Bring the schema up to date; several processes may do so at once.

        Raises `LogUnavailable`, also where a newer version of this package has been here.
        """
        with self._reached():
            if self._revision() == HEAD:
                return  # and so without the memory that Alembic takes
            upgrade = _upgrader()
            with _migrating, self._engine.connect() as connection, connection.begin():
                self._lock(connection)
                if self._dialect != "sqlite":
                    unbound(connection)  # an index over millions of rows takes its time
                if _revision_of(connection) != HEAD:  # while this one waited, another may have done it
                    upgrade(connection)

    def migrated(self) -> bool | None:
        """Whether the schema is this version's; None where there is none yet. Raises `LogUnavailable`."""
        if self._dialect == "sqlite" and self._url.database and not Path(self._url.database).exists():
            return None  # a look makes no file
        with self._reached():
            revision = self._revision()
        return None if revision is None else revision == HEAD

    def append(self, events: Sequence[Event], bodies: Mapping[str, bytes] = NOTHING) -> None:
        """Write events, in one transaction; those that the log has already are passed over.

        `bodies` has what the callers of jobs sent: it is kept until they end. Raises `LogUnavailable`, and `ValueError`
        where one of them can never be stored: then none is.
        """
        with self._writing() as connection:
            job_ids = sorted({event.job for event in events})
            known = {}
            for start in range(0, len(job_ids), IDS_AT_ONCE):
                for found in connection.execute(known_of(job_ids[start : start + IDS_AT_ONCE])):
                    known[found.job_id] = row_of(found)
            tally = Tally()
            if rows := fold(events, known, tally.hear):
                connection.execute(upsert_for(self._dialect), [values_of(row) for row in rows])
                write_tally(connection, self._dialect, tally)
                keep_bodies(connection, self._dialect, rows, known, bodies)

    def bodies(self, job_ids: Sequence[str]) -> dict[str, bytes]:
        """What the callers of these jobs sent, of those of which the log has it. Raises `LogUnavailable`."""
        return {found.job_id: found.body for found in self._look(bodies_of(job_ids))}

    def every_body(self) -> Iterator[dict[str, bytes]]:
        """What callers sent, of all jobs of which the log has it, some at a time. Raises `LogUnavailable`."""
        after = ""
        while some := {found.job_id: found.body for found in self._look(bodies_after(after, IDS_AT_ONCE))}:
            yield some
            after = max(some)

    def keep_bodies(self, bodies: Mapping[str, bytes]) -> None:
        """What the callers of jobs that are not at their end sent, a thousand at most. Raises `LogUnavailable`."""
        with self._writing() as connection:
            rows = [row_of(found) for found in connection.execute(known_of(list(bodies)))]
            keep_bodies(connection, self._dialect, rows, {row.job_id: row for row in rows}, bodies)

    def drop_bodies(self, job_ids: Sequence[str]) -> int:
        """What the callers of these jobs sent is gone; gives of how many it was there. Raises `LogUnavailable`."""
        with self._writing() as connection:
            return drop_bodies(connection, job_ids)

    def drop_dead_bodies(self, before: int) -> int:
        """As `drop_bodies`, for jobs that died before a moment (ms since 1970), a thousand at most."""
        with self._writing() as connection:
            return drop_dead(connection, before)

    def find(self, job_id: str) -> Job | None:
        """What the log knows of a job, or None. Raises `LogUnavailable`."""
        found = self._look(one_of(job_id))
        return job_of(found[0]) if found else None

    def row(self, job_id: str) -> JobRow | None:
        """A job as a list shows it, or None. Raises `LogUnavailable`."""
        found = self._look(found_by_id(job_id))
        return row_in(found[0]) if found else None

    def search(self, key: str, limit: int = MOST) -> list[JobRow]:
        """The newest jobs that are found by a key. Raises `LogUnavailable`."""
        return [row_in(found) for found in self._look(found_by_key(key, limit))]

    def requested(self, name: str, limit: int = MOST) -> list[JobRow]:
        """The jobs that a request of this name brought. Raises `LogUnavailable`."""
        return [row_in(found) for found in self._look(found_by_request(name, limit))]

    def page(self, limit: int, **wanted: Any) -> list[JobRow]:
        """The newest jobs of a list; what is wanted is that of `Listed`. Raises `LogUnavailable`."""
        return [row_in(found) for found in self._look(page_of(Listed(**wanted), limit))]

    def minutes(self, at: int) -> list[MinuteCounts]:
        """The minutes that began at `at` (ms since 1970) or later and had events, in order. Raises `LogUnavailable`."""
        return [minute_in(found) for found in self._look(since(at))]

    def ended_since(self, at: int) -> tuple[int, int]:
        """How many completed and were cancelled in the minutes since `at` (ms). Raises `LogUnavailable`."""
        found = self._look(ended_since(at))
        return (int(found[0][0]), int(found[0][1])) if found else (0, 0)

    def living(self) -> int:
        """How many jobs are not at their end. Raises `LogUnavailable`."""
        return sum(found[0] for found in self._look(living()))

    def act(self, act: OperatorAct) -> None:
        """Write an operator's act into the trail. Raises `LogUnavailable`."""
        if not self._migrated:
            self.migrate()  # before a recorder has been here there is no trail
            self._migrated = True
        with self._reached(), self._engine.connect() as connection, connection.begin():
            connection.execute(operator_act.insert(), act_values(act))

    def acts(self, limit: int, *, before: int | None = None, what: str | None = None) -> list[OperatorAct]:
        """The newest acts before a place in the trail, on one thing. Raises `LogUnavailable`."""
        return [act_in(found) for found in self._look(acts_page(limit, before, what))]

    def about(self, keys: Collection[str], job_ids: Collection[str]) -> tuple[list[str], int]:
        """The jobs that are found by these keys or have these ids, and how many rows the search has of the keys.

        Raises `LogUnavailable`.
        """
        if self.migrated() is None:
            return [], 0
        with self._reached(), self._engine.connect() as connection:
            return jobs_about(connection, keys, job_ids), keys_left(connection, keys)

    def searched(self) -> bool:
        """Whether any job can be found by a key. Raises `LogUnavailable`."""
        return bool(self._look(select(job_key.c.key).limit(1)))

    def named(self, words: Collection[str]) -> list[int]:
        """The places of the acts in whose texts one of these words stands. Raises `LogUnavailable`."""
        if self.migrated() is None:
            return []
        with self._reached(), self._engine.connect() as connection:
            return acts_that_name(connection, words)

    def erase(self, keys: Collection[str], job_ids: Sequence[str]) -> int:
        """Take the rows of these jobs and of these keys; how many jobs. Raises `LogUnavailable`."""
        with self._writing() as connection:
            return erase_jobs(connection, keys, job_ids)

    def expire(self, before: int, most: int, after: Key | None = None) -> tuple[int, int, Key | None]:
        """Take at most so many rows of ended jobs from before a moment (ms); once these are gone, look at so many keys
        of the search: how many rows and keys went, and where to go on with the keys (None: from the beginning).

        Raises `LogUnavailable`.
        """
        with self._writing() as connection:
            rows = expire_jobs(connection, before, most)
            return (rows, 0, after) if rows == most else (rows, *expire_keys(connection, before, most, after))

    def compact(self) -> None:
        """Let the database write over what was taken: SQLite's file is written anew, PostgreSQL's rows are freed.

        Raises `LogUnavailable`.
        """
        with self._reached(), self._engine.connect() as connection:
            if self._dialect == "sqlite":
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            else:
                plain = connection.execution_options(isolation_level="AUTOCOMMIT")
                plain.exec_driver_sql("VACUUM job_log, job_key, job_body")

    def places(self, status: str, after: Place, limit: int) -> list[Place]:
        """Jobs of a status in order of their admission, those after a place. Raises `LogUnavailable`."""
        return [place_in(found) for found in self._look(page_of_status(status, after, limit))]

    def dead_places(self, after: Place, limit: int) -> list[Place]:
        """Dead jobs whose body is kept, in order of their death, those after a place. Raises `LogUnavailable`."""
        return [place_in(found) for found in self._look(page_of_dead(after, limit))]

    def known(self, job_ids: Sequence[str]) -> dict[str, Known]:
        """All that the log has of these jobs, a thousand at most. Raises `LogUnavailable`."""
        return {found.job_id: known_in(found) for found in self._look(known_jobs(job_ids))}

    def retell(self, told: Sequence[tuple[Job, str]], bodies: Mapping[str, bytes]) -> list[str]:
        """Write what the queue tells of jobs (each with the place of its newest event) and the log lacks, a thousand
        at most; `bodies` as for `append`. Gives the ids of those that were written. Raises `LogUnavailable`.
        """
        with self._writing() as connection:
            found = connection.execute(known_jobs([job.id for job, _ in told]))
            known = {one.job_id: known_in(one) for one in found}
            tally, rows = Tally(), []
            for job, position in told:
                before = known.get(job.id)
                if before is None or before.row.last_event <= place(position):  # else it went on meanwhile
                    history = before.history if before else ()
                    rows.append(retold(job, position, history, before and before.row, tally.hear))
            if rows:
                connection.execute(upsert_for(self._dialect, newer=False), [values_of(row) for row in rows])
                write_tally(connection, self._dialect, tally)
                keep_bodies(connection, self._dialect, rows, {row.job_id: row for row in rows}, bodies)
        return [row.job_id for row in rows]

    def _look(self, query: Select[Any]) -> Sequence[Any]:
        began = time.monotonic()
        try:
            return self._rows(query)
        except ValueError:
            return []  # an id that the database cannot hold, such as one with a NUL
        except LogUnavailable:
            if time.monotonic() - began > AT_ONCE_SECONDS:
                raise
            with self._reached():
                migrated = self._revision() is not None
            # Before a recorder has been here there is no table, and nothing was logged; it may come in between.
            return self._rows(query) if migrated else []

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        with self._reached(), self._engine.connect() as connection:
            return connection.execute(query).all()

    def close(self) -> None:
        """Close the connections; one that a call in another thread still uses closes when that call ends."""
        self._closed = True
        self._engine.dispose()

    def _close_late(self, connection: Any, _record: object) -> None:
        if self._closed and connection is not None:
            connection.close()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """A transaction in which nobody else writes to the log."""
        with self._reached(), self._engine.connect() as connection, connection.begin():
            self._lock(connection)
            yield connection

    def _lock(self, connection: Connection) -> None:
        for statement in lock_of(self._dialect):
            connection.exec_driver_sql(statement)

    def _revision(self) -> str | None:
        with self._engine.connect() as connection:
            return _revision_of(connection)

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except OverflowError as error:
            raise ValueError(f"the job log cannot hold this: {error}") from error
        except SQLAlchemyError as error:
            reason = self._reason(error)
            if is_of_data(error):
                raise ValueError(f"the job log cannot hold this: {reason}") from error
            raise LogUnavailable(
                f"the job log's database, {name_of(self._url)}, is away or refuses ({reason}); start "
                "it, or see to its lock, its disk or its rights: the log then catches up"
            ) from error

    def _reason(self, error: SQLAlchemyError) -> str:
        cause = str(error.orig if isinstance(error, StatementError) and error.orig else error).strip()
        lines = [line.strip() for line in cause.splitlines()] or [type(error).__name__]
        password = self._url.password
        return lines[0].replace(password, "***") if password else lines[0]


def _revision_of(connection: Connection) -> str | None:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _upgrader() -> Callable[[Connection], None]:
    """Imports Alembic, which takes 9 MB and half a second: only who migrates pays, and before it holds the lock."""
    from alembic import command  # noqa: PLC0415  see above
    from alembic.config import Config  # noqa: PLC0415  see above
    from alembic.util import CommandError  # noqa: PLC0415  see above

    def upgrade(connection: Connection) -> None:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", "yellowbooks.joblog:migrations")
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise LogUnavailable(
                f"the job log's schema is not one that this version knows ({error}); install the "
                "version that wrote it, or a newer one"
            ) from error

    return upgrade
