"""Recurring jobs: a cron expression in a time zone, fired exactly once over many workers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from yellowbooks.jobs.kind import JOB_ID, Kind, Payload
from yellowbooks.jobs.queue import Queue

AHEAD = timedelta(seconds=60)  # how far firings are admitted before their time; the next one always is
MOST = 100  # firings of one schedule in one tick; the rest follow in the next


@dataclass(frozen=True, slots=True)
class Schedule:
    """A kind of job at the times of a cron expression (as Debian's cron takes it, daylight saving too).

    `payload` makes the payload from the time of the firing. The id of each job is `name@time`, so that however many
    workers admit it, it is one job; and the next firing always waits in the queue, so that no restart loses it. What
    was missed while nobody ran is made up for, at most 100 at a time. Raises `ValueError` where a part is wrong.
    """

    name: str
    cron: str
    kind: Kind[Any]
    payload: Callable[[datetime], Payload]
    zone: str = "UTC"

    def __post_init__(self) -> None:
        if not JOB_ID.fullmatch(f"{self.name}@20260101T000000Z"):
            raise ValueError(f"{self.name!r} is no name of a schedule; use letters, digits and -")
        try:
            next(self.after(datetime.now(UTC)))
        except (CronSimError, StopIteration) as error:
            raise ValueError(f"{self.cron!r} is no cron expression ({error}); a right one is 0 9 * * 1-5") from error
        except (KeyError, OSError) as error:
            raise ValueError(f"{self.zone!r} is no time zone; a right one is Asia/Ulaanbaatar") from error

    def after(self, moment: datetime) -> Iterator[datetime]:
        """The firings after a moment, in UTC."""
        for fire in CronSim(self.cron, moment.astimezone(ZoneInfo(self.zone))):
            yield fire.astimezone(UTC)


async def tick(queue: Queue, schedules: Sequence[Schedule]) -> None:
    """Admit the next firing of each schedule, and those of the next minute. Any number of workers may call it."""
    for schedule in schedules:
        last, now = await queue.fire(schedule.name, 0)
        for n, fire in enumerate(islice(schedule.after(_moment(last)), MOST)):
            if n and fire > _moment(now) + AHEAD:
                break
            payload = schedule.payload(fire)
            payload.job_id = f"{schedule.name}@{fire:%Y%m%dT%H%M%SZ}"
            delay = (fire - _moment(now)).total_seconds()
            _, receipt = await queue.admit(schedule.kind, payload, delay=max(delay, 0.0))
            if receipt.word not in ("admitted", "seen"):
                break  # no room: it is tried again at the next tick, and nothing is passed over
            if n or delay <= 0:
                await queue.fire(schedule.name, round(fire.timestamp() * 1000))


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
