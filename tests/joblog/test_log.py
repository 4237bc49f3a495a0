"""The job log: one row a job, the same whatever was told twice, in part or by two at once."""

import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from yellowbooks.joblog import JobLog, LogUnavailable
from yellowbooks.joblog.fold import fold, place
from yellowbooks.joblog.table import metadata
from yellowbooks.jobs import Event, State

STORY = [
    ("admitted", "enqueued", 0, None), ("claimed", "processing", 1, None), ("retried", "retrying", 1, "no luck"),
    ("promoted", "enqueued", 1, None), ("claimed", "processing", 2, None), ("crashed", "enqueued", 1, "lost"),
    ("claimed", "processing", 2, None), ("died", "dead", 2, "gone"), ("requeued", "enqueued", 0, None),
    ("claimed", "processing", 1, None), ("completed", "completed", 1, None),
]  # fmt: skip


def story(job: str = "a", length: int = len(STORY), start: int = 1_700_000_000_000) -> list[Event]:
    return [
        Event(
            job=job, name=name, at=start + n, kind="ping", state=state, attempt=attempt, max_attempts=5, error=error,
            due=start + 9 if name == "retried" else None, worker="w" if name == "claimed" else None,
            position=f"{start + n}-0",
        )
        for n, (name, state, attempt, error) in enumerate(STORY[:length])
    ]  # fmt: skip


@pytest.fixture
def log(database_url: str):
    log = JobLog(database_url)
    log.migrate()
    yield log
    log.close()


def test_the_whole_story_of_a_job(log: JobLog) -> None:
    log.append(story())
    job = log.find("a")
    assert job is not None
    assert (job.state, job.attempts, job.max_attempts, job.crashes, job.generation) == (State.COMPLETED, 1, 5, 0, 2)
    assert (job.created, job.error, job.due) == (1_700_000_000_000, None, None)
    assert (job.started, job.ended) == (1_700_000_000_009, 1_700_000_000_010)
    assert [event.name for event in job.history] == [name for name, *_ in STORY]
    assert job.history[2].error == "no luck"


@pytest.mark.parametrize("length", range(1, len(STORY) + 1))
def test_every_state_on_the_way(log: JobLog, length: int) -> None:
    log.append(story(length=length))
    job = log.find("a")
    assert job is not None
    assert job.state == STORY[length - 1][1]
    assert job.due == (1_700_000_000_009 if STORY[length - 1][0] == "retried" else None)


def test_an_unknown_job(log: JobLog) -> None:
    assert log.find("nobody") is None
    assert log.find("a\0b") is None


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_told_twice_or_in_part_it_is_the_same_row(log: JobLog, data: st.DataObject) -> None:
    job = f"j{data.draw(st.uuids())}"
    events = story(job)
    done = 0
    while done < len(events):
        begin = data.draw(st.integers(0, done))
        end = data.draw(st.integers(done + 1, len(events)))
        log.append(events[begin:end])
        done = end
    found = log.find(job)
    [row] = fold(events, {})
    assert found is not None
    assert "".join(msgspec.json.encode(event).decode() + "\n" for event in found.history) == row.history
    assert (found.state, found.attempts, found.crashes, found.error) == (
        row.status,
        row.attempts,
        row.crashes,
        row.error,
    )


def test_two_who_write_at_once_write_once(database_url: str) -> None:
    logs = [JobLog(database_url), JobLog(database_url)]
    logs[0].migrate()
    events = [event for n in range(50) for event in story(f"j{n}")]

    def write(log: JobLog) -> None:
        for start in range(0, len(events), 37):
            log.append(events[start : start + 37])

    threads = [threading.Thread(target=write, args=(log,)) for log in logs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(50):
        job = logs[0].find(f"j{n}")
        assert job is not None
        assert len(job.history) == len(STORY)
    for log in logs:
        log.close()


def test_a_story_without_its_beginning(log: JobLog) -> None:
    log.append(story()[3:5])
    job = log.find("a")
    assert job is not None
    assert (job.state, job.created) == (State.PROCESSING, 1_700_000_000_003)


def test_times_are_moments_in_utc(log: JobLog, database_url: str) -> None:
    log.append(story(length=1))
    query = "SELECT created_at FROM job_log"
    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as connection:
            [(value,)] = connection.execute(query).fetchall()
        connection.close()
        assert value == "2023-11-14T22:13:20.000Z"
    else:
        with psycopg.connect(database_url) as connection:
            [(moment,)] = connection.execute(query).fetchall()
        assert moment.astimezone(UTC) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_the_migrations_make_the_table_of_the_code(log: JobLog, database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
    log.migrate()


def test_several_processes_migrate_at_once(database_url: str) -> None:
    code = f"from yellowbooks.joblog import JobLog; log = JobLog({database_url!r}); log.migrate(); log.close()"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]


def test_a_locked_sqlite_is_unavailable_and_nothing_is_half_written(tmp_path: Path) -> None:
    log = JobLog(f"sqlite:///{tmp_path}/log.sqlite3")
    log.migrate()
    with sqlite3.connect(tmp_path / "log.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LogUnavailable, match="locked"):
            log.append(story())
        other.execute("ROLLBACK")
    other.close()
    assert log.find("a") is None
    log.append(story())
    assert log.find("a") is not None
    log.close()


def test_nobody_answers_and_no_password_is_told() -> None:
    log = JobLog("postgresql://user:canary@127.0.0.1:1/nowhere")
    with pytest.raises(LogUnavailable) as caught:
        log.find("a")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "postgres", "valkey://x"])
def test_wrong_urls_have_a_right_example(url: str) -> None:
    with pytest.raises(ValueError, match="postgresql://user:password@host"):
        JobLog(url)


def test_positions_sort_as_the_stream_does() -> None:
    positions = ["5-0", "5-2", "5-10", "40-1", "1763968888123-0"]
    assert sorted(map(place, reversed(positions))) == list(map(place, positions))
    with pytest.raises(ValueError, match="no position"):
        place("x")


def test_a_connection_that_was_in_use_closes_after_its_call(database_url: str) -> None:
    log = JobLog(database_url)
    log.migrate()
    with log._engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        log.close()
    assert raw is not None
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError)):
        raw.execute("SELECT 1")
