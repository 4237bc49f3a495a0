"""Finding jobs in the log, each by an index; and the counts of each minute, exact whatever is told twice."""

import itertools
import re

import pytest
from alembic import command
from alembic.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError

from tests.joblog.test_log import story
from yellowbooks.joblog import JobLog
from yellowbooks.joblog.histogram import add, percentile, step_of
from yellowbooks.joblog.search import Listed, found_by_key, found_by_request, page_of
from yellowbooks.jobs import Event

KEY, OTHER = "a" * 12, "b" * 12
BEGAN = 1_700_000_000_000
NUMBERS = itertools.count()


@pytest.fixture
def log(database_url: str):
    log = JobLog(database_url)
    log.migrate()
    yield log
    log.close()


def admitted(job: str, at: int, *, found: str = KEY + OTHER, request: str | None = None) -> Event:
    return Event(
        job=job, name="admitted", at=at, kind="ping", state="enqueued", max_attempts=5, found=found, request=request,
        position=f"{at}-0",
    )  # fmt: skip


def died(job: str, at: int, error: str) -> Event:
    return Event(job=job, name="died", at=at, kind="ping", state="dead", attempt=5, error=error, position=f"{at}-1")


def test_by_each_key_newest_first_and_by_the_request(log: JobLog) -> None:
    log.append([admitted("old", BEGAN), admitted("new", BEGAN + 5, found=KEY, request="r-1")])
    assert [row.job_id for row in log.search(KEY)] == ["new", "old"]
    assert [row.job_id for row in log.search(OTHER)] == ["old"]
    assert log.search("c" * 12) == []
    [row] = log.requested("r-1")
    assert (row.job_id, row.ref, row.request_id, row.created, row.updated) == ("new", KEY, "r-1", BEGAN + 5, BEGAN + 5)
    assert log.requested("r-2") == log.requested("x\0y") == []
    assert log.row("new") == row
    job = log.find("new")
    assert job
    assert not any(event.found or event.request for event in job.history)


def test_a_job_that_came_anew_is_not_found_by_the_keys_of_the_one_before(log: JobLog) -> None:
    log.append([admitted("a", BEGAN, found=KEY)])
    log.append([admitted("a", BEGAN + 9, found=OTHER)])
    assert log.search(KEY) == []
    assert [row.created for row in log.search(OTHER)] == [BEGAN + 9]


def test_lists_by_filter_page_by_page(log: JobLog) -> None:
    log.append([admitted(f"j{n:02}", BEGAN + n // 3) for n in range(20)])
    log.append([died("j04", BEGAN + 90, "550 no such user Я"), died("j15", BEGAN + 91, "421 100% full_")])
    seen: list[str] = []
    before = None
    while page := log.page(7, before=before):
        seen += [row.job_id for row in page]
        before = (page[-1].created, page[-1].job_id)
    assert seen == [f"j{n:02}" for n in reversed(range(20))]
    assert [row.job_id for row in log.page(9, status="dead")] == ["j15", "j04"]
    assert [row.job_id for row in log.page(9, status="dead", before=(BEGAN + 5, "j15"))] == ["j04"]
    assert [row.job_id for row in log.page(9, error="NO SUCH")] == ["j04"]
    assert [row.job_id for row in log.page(9, error="0% FULL_")] == ["j15"]
    assert log.page(9, error="0_ full") == []
    assert [row.job_id for row in log.page(9, since=BEGAN + 2, until=BEGAN + 3)] == ["j08", "j07", "j06"]
    assert len(log.page(99, kind="ping")) == 20
    assert log.page(9, kind="pong") == []


def plan(log: JobLog, statement: object) -> str:
    """How the database would go about it."""
    dialect = sqlite.dialect() if log._dialect == "sqlite" else postgresql.dialect()
    query = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))  # type: ignore[attr-defined]
    explain = "EXPLAIN QUERY PLAN " if log._dialect == "sqlite" else "EXPLAIN "
    with log._engine.connect() as connection:
        # A table of a few pages is read whole, whatever indexes it has.
        if log._dialect != "sqlite":
            connection.execute(text("SET enable_seqscan = off"))
        rows = connection.exec_driver_sql(explain + query.replace("%", "%%")).all()
    return "\n".join(str(row[-1]) for row in rows)


@pytest.mark.parametrize(
    ("statement", "indexes"),
    [
        (found_by_key(KEY, 50), ["pk_job_key", "ix_job_log_created"]),
        (found_by_request("r-1", 50), ["ix_job_log_request"]),
        (page_of(Listed(), 50), ["ix_job_log_created"]),
        (page_of(Listed(status="dead", before=(BEGAN, "a")), 50), ["ix_job_log_status"]),
        (page_of(Listed(kind="ping", since=BEGAN), 50), ["ix_job_log_kind"]),
        (page_of(Listed(error="x"), 50), ["ix_job_log_failed"]),
    ],
)
def test_each_is_found_by_an_index_and_in_its_order(log: JobLog, statement: object, indexes: list[str]) -> None:
    log.append([admitted(f"j{n}", BEGAN + n) for n in range(50)])
    said = plan(log, statement)
    if log._dialect == "sqlite":
        said = said.replace("job_key USING PRIMARY KEY", "pk_job_key")
    assert all(index in said for index in indexes), said
    assert "SCAN job_log\n" not in said + "\n", said
    assert "Seq Scan" not in said
    if indexes[0] not in ("pk_job_key", "ix_job_log_request"):  # those few are sorted when they are found
        assert not re.search("TEMP B-TREE|Sort", said), said


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_minutes_count_each_event_once_whatever_is_told_twice(database_url: str, data: st.DataObject) -> None:
    log = JobLog(database_url)
    log.migrate()
    with log._engine.begin() as connection:
        connection.execute(text("DELETE FROM job_minute"))
    job = f"j{next(NUMBERS)}"
    events, done = story(job), 0
    while done < len(events):
        begin = data.draw(st.integers(0, done))
        end = data.draw(st.integers(done + 1, len(events)))
        log.append(events[begin:end])
        done = end
    [minute] = log.minutes(0)
    assert minute.at == BEGAN // 60_000 * 60_000
    assert (minute.admitted, minute.completed, minute.failed, minute.crashed, minute.died, minute.requeued) == (
        1, 1, 1, 1, 1, 1,
    )  # fmt: skip
    assert minute.grown == 0
    assert sum(minute.waits.values()) == 4  # each of its claims
    assert sum(minute.runs.values()) == 3  # a crash has no end of its own
    log.close()


def test_waits_and_runs(log: JobLog) -> None:
    steps = [("admitted", "enqueued", 0), ("claimed", "processing", 200), ("noted", "processing", 400),
             ("completed", "completed", 1200), ("admitted", "enqueued", 60_000)]  # fmt: skip
    for n, (name, state, after) in enumerate(steps):
        at = BEGAN + after
        log.append([Event(job="a" if n < 4 else "b", name=name, at=at, kind="k", state=state, position=f"{at}-{n}")])
    first, second = log.minutes(0)
    assert first.waits == {step_of(200): 1}
    assert first.runs == {step_of(1000): 1}
    assert (second.admitted, second.at - first.at) == (1, 60_000)
    assert log.minutes(first.at + 1) == [second]
    assert log.living() == 1


def test_percentiles_are_at_most_a_fifth_too_many() -> None:
    counts = add([{step_of(ms): 1} for ms in range(1, 1001)])
    for share in (0.5, 0.95, 0.99, 1.0):
        assert share * 1000 <= (percentile(counts, share) or 0) <= share * 1000 * 1.2
    assert percentile({}, 0.5) is None
    assert step_of(0) == step_of(1) == 0


def test_the_trail_of_operators_cannot_be_changed(log: JobLog, database_url: str) -> None:
    with log._engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO operator_act (at, who, key, act, what, reason) "
                "VALUES ('2026-01-01', 'bat', 'k', 'reveal', 'j', 'why')"
            )
        )
    for statement in ("UPDATE operator_act SET who = 'x'", "DELETE FROM operator_act"):
        with pytest.raises(DatabaseError, match="only grows"), log._engine.begin() as connection:
            connection.execute(text(statement))


def test_a_log_of_the_version_before_is_brought_up_to_date(database_url: str) -> None:
    log = JobLog(database_url)
    log.migrate()
    log.append([admitted("a", BEGAN)])
    url = database_url.replace("postgresql://", "postgresql+psycopg://")
    engine = create_engine(url)
    for step in (command.downgrade, command.upgrade):
        with engine.connect() as connection, connection.begin():
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", "yellowbooks.joblog:migrations")
            step(config, "0001" if step is command.downgrade else "head")
    engine.dispose()
    row = log.row("a")
    assert row
    assert (row.request_id, row.ref) == (None, None)
    log.close()
