"""What the job log counted: the last minutes for the numbers of now, and the series of the last hour and day."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery

from yellowbooks.operators.desk import Desk, Log
from yellowbooks.operators.shapes import Percentiles, Point, Rates, Series
from yellowbooks.views import time as shown_time

if TYPE_CHECKING:
    from yellowbooks.joblog import JobLog, MinuteCounts

MINUTE = 60_000  # ms
RECENT = 5  # minutes that the times and the error rate of now are taken over
DAY = 86_400_000  # ms
FRESH_SECONDS = 2.0
ANSWER_SECONDS = 3.0  # what the log gets to answer
SPANS = {"hour": (MINUTE, 60), "day": (15 * MINUTE, 96)}  # how long a point is (ms), and how many there are


@dataclass(frozen=True, slots=True)
class Recent:
    """The last minutes and what ended within 24 hours, or why the log cannot say."""

    minutes: "Sequence[MinuteCounts]" = ()
    completed: int | None = None
    cancelled: int | None = None
    error: str | None = None

    @property
    def rates(self) -> Rates | None:
        """Jobs a second over the last whole minute; None where the log is away."""
        if self.error is not None:
            return None
        last = _now() // MINUTE * MINUTE - MINUTE
        whole = [minute for minute in self.minutes if minute.at == last]
        came, left = sum(minute.admitted for minute in whole), sum(_left(minute) for minute in whole)
        return Rates(in_per_second=came / 60, out_per_second=left / 60)

    @property
    def error_rate(self) -> float | None:
        """Of the attempts of the last minutes those that failed; None where there were none."""
        failed = sum(minute.failed + minute.died for minute in self.minutes)
        ended = failed + sum(minute.completed for minute in self.minutes)
        return failed / ended if ended else None

    @property
    def wait(self) -> Percentiles | None:
        """From the moment when a job may run to its claim."""
        return _percentiles([minute.waits for minute in self.minutes])

    @property
    def run(self) -> Percentiles | None:
        """From a claim to its end."""
        return _percentiles([minute.runs for minute in self.minutes])


class Lately:
    """Asks the log for the last minutes, at most every two seconds; while an answer is awaited, nobody asks again."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._asked = -FRESH_SECONDS
        self._recent = Recent()
        self._asking: asyncio.Task[Recent] | None = None

    async def recent(self) -> Recent:
        """What is known; a log that does not answer in time is away."""
        if self._asking is None and time.monotonic() - self._asked >= FRESH_SECONDS:
            self._asking = asyncio.create_task(self._ask())
        if self._asking:
            done, _ = await asyncio.wait({self._asking}, timeout=ANSWER_SECONDS)
            if not done:
                return Recent(error=f"the job log does not answer within {ANSWER_SECONDS:.0f} s; see its database")
            self._recent, self._asking, self._asked = self._asking.result(), None, time.monotonic()
        return self._recent

    async def _ask(self) -> Recent:
        now = _now()

        def look(log: "JobLog") -> Recent:
            completed, cancelled = log.ended_since(now - DAY)
            return Recent(log.minutes(now - RECENT * MINUTE), completed, cancelled)

        try:
            return await self._log.ask(look)
        except ConnectionError as error:
            return Recent(error=str(error))


def series_route(desk: Desk) -> HTTPRouteHandler:
    """`GET /api/admin/series`."""

    @get("/api/admin/series", summary="The last hour or day, point by point", operation_id="series")
    async def show(span: FromQuery[Literal["hour", "day"]] = "hour") -> Response[Series]:
        """60 points of a minute, or 96 of a quarter of an hour; the last one is still going on."""
        length, count = SPANS[span]
        first = _now() // length * length - (count - 1) * length
        minutes, living = await desk.ask(lambda log: (log.minutes(first), log.living()))
        return Response(Series(points=points(minutes, living, first, length, count)))

    return show


def points(minutes: "Sequence[MinuteCounts]", living: int, first: int, length: int, count: int) -> list[Point]:
    """The minutes as points. How many there were at a point's end is counted back from how many there are now."""
    groups: list[list[MinuteCounts]] = [[] for _ in range(count)]
    for minute in minutes:
        groups[min((minute.at - first) // length, count - 1)].append(minute)
    found: list[Point] = []
    depth = living
    for number in reversed(range(count)):
        group = groups[number]
        wait = _percentiles([minute.waits for minute in group])
        run = _percentiles([minute.runs for minute in group])
        found.append(
            Point(
                at=shown_time(first + number * length) or "",
                came=sum(minute.admitted for minute in group),
                out=sum(_left(minute) for minute in group),
                failed=sum(minute.failed for minute in group),
                dead=sum(minute.died for minute in group),
                wait_p95=wait.p95 if wait else None,
                run_p95=run.p95 if run else None,
                depth=max(depth, 0),
            )
        )
        depth -= sum(minute.grown for minute in group)
    return found[::-1]


def _left(minute: "MinuteCounts") -> int:
    return minute.completed + minute.died + minute.cancelled


def _percentiles(counts: "Sequence[dict[int, int]]") -> Percentiles | None:
    if not any(counts):
        return None
    from yellowbooks.joblog import add, percentile  # noqa: PLC0415  brings SQLAlchemy, which is in by then

    whole = add(counts)
    p50, p95, p99 = ((percentile(whole, share) or 0) / 1000 for share in (0.5, 0.95, 0.99))
    return Percentiles(p50=p50, p95=p95, p99=p99)


def _now() -> int:
    return round(time.time() * 1000)
