"""The faults of the job log's database, one function each, by the rows of the fault table; each heals what it hurt."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import event, make_url

from tests.faults.log_rig import PATIENCE, Fault, LogRig
from tests.faults.proxy import Proxy
from tests.faults.recorder import STEPS
from tests.parts import eventually
from yellowbooks.joblog import JobLog, LogUnavailable
from yellowbooks.jobs import Queue

FAULTS: dict[tuple[str, str], Fault] = {}
BOTH = ("postgresql", "sqlite")


def row(name: str, *stores: str) -> Any:
    """Enter a fault into the campaign; the name begins with its row."""

    def enter(fault: Fault) -> Fault:
        for store in stores:
            FAULTS[name, store] = fault
        return fault

    return enter


def connect(rig: LogRig) -> "psycopg.Connection[Any]":
    """A connection to the database of our own."""
    return psycopg.connect(rig.url, autocommit=True)


@row("18 the server is stopped under load, and started again", "postgresql")
async def stopped(rig: LogRig) -> None:
    """`pg_ctl -m immediate`: as a crash."""
    assert rig.postgres
    await rig.stack.enter_async_context(rig.recording())
    load = asyncio.create_task(rig.work())
    await asyncio.sleep(rig.chance.uniform(0, 0.2))
    await asyncio.to_thread(rig.postgres.stop)
    try:
        await load
        await rig.meanwhile()
        await rig.troubled()
    finally:
        await asyncio.to_thread(rig.postgres.start)


@row("18 the file is not there", "sqlite")
async def moved(rig: LogRig) -> None:
    """Its folder is on a disk that is not mounted yet."""
    away, here = rig.folder / "away", rig.folder / "here"
    here.mkdir()
    rig.url = f"sqlite:///{away}/log.sqlite3"
    await rig.stack.enter_async_context(rig.recording())
    await rig.meanwhile()
    await rig.troubled()
    here.rename(away)


@row("19 a table is locked", "postgresql")
async def locked(rig: LogRig) -> None:
    """Reads wait for ACCESS EXCLUSIVE too: only a time limit ends them."""
    log = await rig.stack.enter_async_context(rig.recording())
    await rig.work()
    await eventually(log.migrated)
    with connect(rig) as holder, holder.transaction():
        holder.execute("LOCK TABLE job_log IN ACCESS EXCLUSIVE MODE")
        await rig.meanwhile()
        await rig.troubled()
        with pytest.raises(LogUnavailable, match="statement timeout"):  # who searches is told, soon
            await asyncio.to_thread(log.search, "x")


@row("21 another writer has the file", "sqlite")
async def busy(rig: LogRig) -> None:
    """SQLITE_BUSY, for longer than SQLite itself waits."""
    log = await rig.stack.enter_async_context(rig.recording())
    await rig.work()
    await eventually(log.migrated)
    holder = sqlite3.connect(rig.url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    await rig.meanwhile()
    await rig.troubled()
    holder.execute("ROLLBACK")
    holder.close()


async def _through(rig: LogRig) -> Proxy:
    """A proxy before the server, and the recorder behind it; `rig.url` stays the way that has none."""
    assert rig.postgres
    proxy = await rig.stack.enter_async_context(Proxy(f"{rig.postgres.server.pgdata}/.s.PGSQL.5432"))
    database = make_url(rig.url).database
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}/{database}?sslmode=disable&gssencmode=disable"
    await rig.stack.enter_async_context(rig.recording(JobLog(url, patience=PATIENCE)))
    return proxy


async def _warm(rig: LogRig) -> None:
    """The schema is there and what is tidied now and then was tidied: from here on each COMMIT is one of events."""
    await rig.work(10)
    await eventually(rig.caught_up, 60)
    await asyncio.sleep(0.1)


@row("19 each answer comes late", "postgresql")
async def slow(rig: LogRig) -> None:
    """A tenth of a second a packet."""
    proxy = await _through(rig)

    async def drip() -> None:
        while True:
            proxy.to_client.clear()
            await asyncio.sleep(0.1)
            proxy.to_client.set()
            await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drip())
    await rig.meanwhile()
    await eventually(lambda: proxy.fired > 5, 30)
    rig.tally.fired = proxy.fired
    dripping.cancel()
    proxy.to_client.set()


@row("19 a black hole: nothing is answered, nothing is refused", "postgresql")
async def black_hole(rig: LogRig) -> None:
    """The network goes on to acknowledge what is sent: no time-out of TCP ends it."""
    proxy = await _through(rig)
    await rig.work()
    await eventually(rig.caught_up, 60)
    proxy.to_client.clear()
    await rig.meanwhile()
    await rig.troubled()
    proxy.cut()
    proxy.to_client.set()


@row("20 it dies in COMMIT: done, and nobody is told", "postgresql")
async def commit_unheard(rig: LogRig) -> None:
    """The outcome is not known; what is told again is passed over."""
    proxy = await _through(rig)
    await _warm(rig)
    left = 3

    def lose(request: bytes) -> bool:
        nonlocal left
        commits = b"COMMIT\0" in request  # and not READ COMMITTED
        left -= commits
        return commits and left >= 0

    proxy.lose = lose
    await rig.meanwhile()
    await eventually(lambda: left <= 0, 60)
    rig.tally.fired = proxy.fired


@row("20 it dies before COMMIT comes", "postgresql")
async def commit_unsent(rig: LogRig) -> None:
    """The server ends the session in the open transaction."""
    log = await rig.stack.enter_async_context(rig.recording())
    ended = 0

    def end(connection: Any) -> None:
        nonlocal ended
        if ended < 3:
            ended += 1
            with connect(rig) as other:
                pid = connection.connection.driver_connection.info.backend_pid
                other.execute("SELECT pg_terminate_backend(%s)", [pid])

    await _warm(rig)
    event.listen(log._engine, "commit", end)
    await rig.meanwhile()
    await eventually(lambda: ended == 3, 60)
    rig.tally.fired = ended


@row("19 no connection is left at the server", "postgresql")
async def crowded(rig: LogRig) -> None:
    """As max_connections: a role's own limit, taken by others."""
    with connect(rig) as owner:
        role = f"r{os.urandom(4).hex()}"
        owner.execute(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT 3")
        owner.execute(f"GRANT ALL ON SCHEMA public TO {role}")
    url = rig.url.replace("postgres:@", f"{role}@")
    with ExitStack() as others:
        for _ in range(3):
            others.enter_context(psycopg.connect(url))
        await rig.stack.enter_async_context(rig.recording(JobLog(url, patience=PATIENCE)))
        await rig.meanwhile()
        await rig.troubled()


@row("19 no connection is left in the pool", *BOTH)
async def drained(rig: LogRig) -> None:
    """All that this process may have are taken by other threads."""
    log = await rig.stack.enter_async_context(rig.recording())
    await rig.work()
    await eventually(log.migrated)
    with ExitStack() as others:
        for _ in range(8):
            await eventually(partial(_taken, log, others), 30)
        await rig.meanwhile()
        await rig.troubled()


def _taken(log: JobLog, others: ExitStack) -> bool:
    with suppress(Exception):  # the recorder has one at this moment
        others.enter_context(log._engine.connect())
        return True
    return False


@row("21 the disk is full", "sqlite")
async def full(rig: LogRig) -> None:
    """SQLITE_FULL."""
    log = JobLog(rig.url)
    await asyncio.to_thread(log.migrate)
    pages = [1]

    def limit(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {pages[0]}").close()

    event.listen(log._engine, "checkout", limit)
    await rig.stack.enter_async_context(rig.recording(log))
    await rig.meanwhile()
    await rig.troubled()
    assert "full" in rig.troubles[-1]
    pages[0] = 1_000_000


@row("21 the disk is full", "postgresql")
async def full_server(rig: LogRig) -> None:
    """A tablespace on a small disk; where none can be mounted, a trigger that raises what the server would."""
    assert rig.postgres
    with small_disk(rig) as disk:
        name = f"full{os.urandom(4).hex()}"
        with connect(rig) as owner:
            owner.execute(f"CREATE TABLESPACE {name} LOCATION '{disk}'")
            owner.execute(f"CREATE DATABASE {name} TABLESPACE {name}")
        rig.url = make_url(rig.url).set(database=name).render_as_string(hide_password=False)
        await rig.stack.enter_async_context(rig.recording())
        await rig.work()
        await eventually(rig.caught_up, 60)
        filler = disk / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        # What the tables have of free pages is used up first.
        for _ in range(100):
            await rig.meanwhile()
            if rig.troubles:
                break
        await rig.troubled()
        assert "space" in rig.troubles[-1]
        filler.unlink()
        rig.tally = await rig.check()  # before the disk goes
        with connect(rig) as last:
            last.execute("SELECT 1")
        await rig.stack.aclose()
        rig.check = _checked(rig)  # type: ignore[method-assign]
        with psycopg.connect(rig.postgres.server.get_uri(), autocommit=True) as owner:
            owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
            owner.execute(f"DROP TABLESPACE {name}")


def _checked(rig: LogRig) -> Any:
    async def check() -> Any:
        return rig.tally

    return check


@contextmanager
def small_disk(rig: LogRig) -> Iterator[Path]:
    """A file system of 16 MB that the server may write to."""
    assert rig.postgres
    place = Path(f"{rig.postgres.server.pgdata}").parent / f"disk-{os.urandom(4).hex()}"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], check=False, capture_output=True
    )
    if done.returncode:
        raise PermissionError(f"a disk of 16 MB cannot be mounted here: {done.stderr.decode().strip()}")
    try:
        (place / "space").mkdir()
        shutil.chown(place / "space", rig.postgres.server.system_user)
        yield place / "space"
    finally:
        subprocess.run(["umount", str(place)], check=False, capture_output=True)


def killed(step: str) -> Fault:
    """SIGKILL at a step, and another recorder."""

    async def fault(rig: LogRig) -> None:
        await rig.work()
        victim = rig.process(name=rig.name, step=step, times=1)
        await rig.meanwhile()
        await eventually(lambda: victim.poll() is not None, 60)
        assert victim.returncode == -9, f"it ended with {victim.returncode} before «{step}»"
        rig.tally.fired += 1
        await rig.stack.enter_async_context(rig.recording())

    return fault


for _step in STEPS:
    row(f"45 the recorder is killed {_step}", *BOTH)(killed(_step))


class Seatless(Queue):
    """A queue whose seat everybody has."""

    async def lock(self, name: str, holder: str, seconds: float) -> int:
        """Always."""
        return 1


@row("45 two recorders write at once", *BOTH)
async def two(rig: LogRig) -> None:
    """As where the seat's end and a long call cross."""
    both = [Seatless(rig.valkey_url, name=rig.name) for _ in range(2)]
    for queue in both:
        await rig.stack.enter_async_context(rig.recording(source=queue))
    await rig.meanwhile()
    await rig.work()
    rig.tally.fired = len(both)
    rig.stack.push_async_callback(both[0].close)
    rig.stack.push_async_callback(both[1].close)
