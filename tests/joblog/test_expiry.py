"""The log forgets what ended long ago, a bounded step at a time; what lives, what is younger and the counts stay."""

import time
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from tests.joblog.test_log import story
from tests.joblog.test_recorder import recording
from tests.parts import Ping, eventually
from yellowbooks.joblog import JobLog
from yellowbooks.joblog import expiry as expiry_module
from yellowbooks.joblog.expiry import Expiry
from yellowbooks.joblog.table import job_key
from yellowbooks.jobs import Event, Kind, Queue
from yellowbooks.settings import SettingsError, load
from yellowbooks.wiring.log import log_retention

DAY = 86_400_000
NOW = round(time.time() * 1000)


def told(job: str, age_days: int, length: int = 11) -> list[Event]:
    """A job's story, which began so many days ago, found by its own key and by one that many share."""
    first, *rest = story(job, length, NOW - age_days * DAY)
    return [replace_found(first, f"{job:-<12}everybody---"), *rest]


def replace_found(event: Event, found: str) -> Event:
    return Event(**{name: getattr(event, name) for name in event.__struct_fields__} | {"found": found})


def keys(log: JobLog) -> int:
    return int(log._look(select(func.count()).select_from(job_key))[0][0])


async def test_what_ended_long_ago_goes_in_bounded_steps(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry_module, "STEP", 7)
    log = JobLog(database_url)
    log.migrate()
    old, young = [f"old{number}" for number in range(20)], [f"young{number}" for number in range(5)]
    log.append([event for job in old for event in told(job, 400)])
    log.append([event for job in young for event in told(job, 300)])
    log.append([*told("dead", 400, 8), *told("living", 400, 4)])
    minutes = len(log.minutes(NOW - 401 * DAY))
    assert keys(log) == 2 * 27
    expiry, steps = Expiry(log, 365 * 86_400.0), []
    while expiry._rested < 0:
        steps.append(await expiry.step())
    assert len(steps) > 3  # rows in steps of seven, and keys too
    assert max(steps) <= 14
    assert [job for job in (*old, "dead") if log.find(job)] == []
    assert [job for job in (*young, "living") if not log.find(job)] == []
    assert len(log.search("everybody---", 100)) == 6
    assert keys(log) == 2 * 6
    assert len(log.minutes(NOW - 401 * DAY)) == minutes
    assert await expiry.step() == 0  # it rests
    assert await Expiry(log, 0.0).step() == 0
    log.close()


async def test_the_recorder_does_it_by_itself(queue: Queue, ping: Kind[Ping], database_url: str) -> None:
    log = JobLog(database_url)
    log.migrate()
    log.append([event for job in ("a", "b") for event in told(job, 30)])
    async with recording(queue, log, retention=20 * 86_400.0):
        await queue.admit(replace(ping, rate=None), Ping(job_id="now"))
        await eventually(lambda: log.find("a") is None and log.find("b") is None and log.find("now"))
    log.close()


def test_no_shorter_than_the_queue_keeps_them() -> None:
    given = {"YB_LOG_RETENTION": "7d"}
    with pytest.raises(SettingsError, match="YB_LOG_RETENTION=8d"):
        log_retention(load(given).settings)
    for text, seconds in (("8d", 8 * 86_400), ("0d", 0), ("", 365 * 86_400)):
        assert log_retention(load({"YB_LOG_RETENTION": text}).settings) == seconds
    with pytest.raises(SettingsError, match="YB_RETENTION"):
        log_retention(load({"YB_LOG_RETENTION": "30d", "YB_RETENTION": "40d"}).settings)
