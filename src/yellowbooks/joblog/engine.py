"""How each database is opened, what it waits for, and what its errors mean."""

import sqlite3
import time
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, SQLAlchemyError, StatementError

MIGRATION_PATIENCE = 900  # seconds
BUSY_SECONDS = 2.0  # how long SQLite waits for another writer
POSTGRES = {
    "connect_timeout": 3,  # seconds
    "tcp_user_timeout": 5000,  # ms; with the keepalives, a server that vanished is noticed within 11 s
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "application_name": "yellowbooks",
}


def url_of(given: str) -> URL:
    """The address of a job log's database. Raises `ValueError` for another one."""
    wrong = ValueError(
        "the job log needs sqlite:////var/lib/yellowbooks/jobs.db or "
        "postgresql://user:password@host:5432/yellowbooks, not "
        + (f"{given.partition('://')[0]}://…" if "://" in given else "a URL without a scheme")
    )
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise wrong from None
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    # A database in memory is one a connection, and so none that threads share.
    if url.drivername != "sqlite" or not url.database or url.database == ":memory:":
        raise wrong
    return url


def name_of(url: URL) -> str:
    """What to call it where somebody looks for it."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{url.database} at {url.host or url.query.get('host') or 'localhost'}"


def make_engine(url: URL, patience: float) -> Engine:
    """Opens nothing yet; see `JobLog` for the patience."""
    settings: dict[str, Any] = {"hide_parameters": True, "pool_size": 2, "max_overflow": 6, "pool_timeout": 3}
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, **settings)
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    # The snapshot of a repeatable read would be older than the lock that an append waits for.
    engine = create_engine(
        url, connect_args=POSTGRES | dict(url.query), pool_pre_ping=True, isolation_level="READ COMMITTED", **settings
    )
    event.listen(engine, "do_connect", lambda _dialect, _record, args, named: _connect(patience, *args, **named))
    return engine


def unbound(connection: Connection) -> None:
    """This transaction may take its time; the connection is not used for another one."""
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{MIGRATION_PATIENCE}s'")
    connection.connection.driver_connection.patience = MIGRATION_PATIENCE  # type: ignore[union-attr]  # a `BoundedConnection`
    connection.detach()


def _connect(patience: float, *args: Any, **named: Any) -> Any:
    from yellowbooks.joblog.bounded import connect  # noqa: PLC0415  SQLite does without the driver

    return connect(patience, *args, **named)


def _prepare_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # the driver opens no transaction of its own
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            break
        except sqlite3.OperationalError:  # two who turn a new file to WAL at once: SQLite fails one without waiting
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
    connection.execute("PRAGMA secure_delete=ON").close()  # what is taken is overwritten, also where nobody compacts
    connection.execute("PRAGMA synchronous=FULL").close()  # NORMAL loses the last commits when the power goes


def is_of_data(error: SQLAlchemyError) -> bool:
    """Whether what was to be written is what is wrong, and not the database."""
    if isinstance(error, DBAPIError):
        limit = (getattr(error.orig, "sqlstate", None) or "").startswith("54")  # PostgreSQL: program limit exceeded
        return limit or isinstance(error, (DataError, IntegrityError))
    return isinstance(error, StatementError)
