"""What `/metrics` shows: the counts beside the queue, and the queue as it is now; the same from every process."""

import asyncio
import platform
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from yellowbooks.jobs import Queue, QueueUnavailable, Survey, parts_of
from yellowbooks.metrics.behind import DRIFT, SHED, drift, lag, shed
from yellowbooks.metrics.breakers import Execute, open_breakers
from yellowbooks.metrics.fold import RUN_EDGES, WAIT_EDGES, Tally
from yellowbooks.metrics.refusals import DENIALS, REASONS, TURNED_AWAY
from yellowbooks.metrics.store import Store
from yellowbooks.metrics.text import Family, render

ANSWER_SECONDS = 5.0  # what the queue gets; a scrape that waits longer is lost anyway
ALWAYS = ("admitted", "completed", "retried", "died")  # events whose counts are shown from the beginning
LOST = 0.7  # of a lease: a worker that is silent for longer missed two renewals, and is not alive


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All that was asked for one page. `lag`: see there; `shed` and `drift`: see there too."""

    survey: Survey
    tally: Tally
    breakers: "Counter[str]"
    lag: tuple[int, float]
    shed: "Counter[str]"
    drift: "Counter[str]"


class Page:
    """Makes the page. `kinds` are shown from the beginning, also with nothing counted; so are `servers`, those of SMTP.

    `execute` runs a command where the workers say which breakers are open; `before` is awaited first. `here` gives what
    this process alone knows of itself.
    """

    def __init__(
        self, queue: Queue, *, kinds: Sequence[str], servers: Sequence[str], execute: Execute, version: str,
        ambiguous: str, before: Callable[[], Awaitable[None]], here: Callable[[], list[Family]] = list,
    ) -> None:  # fmt: skip
        self._queue = queue
        self._kinds = kinds
        self._servers = servers
        self._execute = execute
        self._version = version
        self._ambiguous = ambiguous
        self._before = before
        self._here = here

    async def __call__(self, *, openmetrics: bool) -> str:
        """The text; where the queue is away it says so (`yb_queue_up` 0), and only that and what is known here."""
        build = Family("yb_build_info", "gauge", "What runs here; always 1")
        build.add(1, version=self._version, python=platform.python_version())
        up = Family("yb_queue_up", "gauge", "Whether the queue answers")
        families = [build, up, *self._here()]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                standing = await self._ask()
        except (QueueUnavailable, TimeoutError):
            up.add(0)
        else:
            up.add(1)
            families += [*self._counters(standing.tally), *self._gauges(standing)]
        return render(families, openmetrics=openmetrics)

    async def _ask(self) -> Standing:
        await self._before()
        parts = parts_of(self._queue)
        survey, breakers, lags, went, apart, tallies = await asyncio.gather(
            self._queue.survey(),
            open_breakers(self._execute),
            asyncio.gather(*(lag(part) for part in parts)),
            asyncio.gather(*(shed(part) for part in parts)),
            drift(parts[0]),
            asyncio.gather(*(Store(part).whole() for part in parts)),
        )
        behind = (sum(one[0] for one in lags), max(one[1] for one in lags))
        whole = sum(tallies, Tally())
        return Standing(
            survey=survey, tally=whole, breakers=breakers, lag=behind, shed=sum(went, Counter[str]()), drift=apart
        )

    def _counters(self, tally: Tally) -> list[Family]:
        events = Family("yb_job_events", "counter", "Transitions of jobs, by kind and event")
        run = Family("yb_job_run_seconds", "histogram", "How long attempts ran, however they ended")
        wait = Family("yb_job_wait_seconds", "histogram", "How long jobs that may run waited for a worker")
        refused = Family("yb_admission_refusals", "counter", "Requests that made no job, by kind and reason")
        denied = Family("yb_access_denials", "counter", "Requests that were not let in, by why")
        for why in DENIALS:
            denied.add(tally.counts[f"d|{why}"], reason=why)
        doubt = Family(
            self._ambiguous.removesuffix("_total"), "counter", "Attempts after which nobody knows if the mail was taken"
        )
        doubt.add(tally.counts["a"])
        for kind in sorted({*self._kinds, *tally.kinds()}):
            seen = {field.split("|")[2] for field in tally.counts if field.startswith(f"e|{kind}|")}
            for name in sorted({*ALWAYS, *seen}):
                events.add(tally.event(kind, name), kind=kind, event=name)
            run.histogram(RUN_EDGES, *tally.histogram("r", kind, RUN_EDGES), kind=kind)
            wait.histogram(WAIT_EDGES, *tally.histogram("w", kind, WAIT_EDGES), kind=kind)
            for reason in REASONS:
                refused.add(tally.counts[f"x|{kind}|{reason}"], kind=kind, reason=reason)
        away = Family("yb_edge_refusals", "counter", "Requests and connections that the API did not see, by why")
        for why in TURNED_AWAY:
            away.add(tally.counts[f"t|{why}"], reason=why)
        return [events, run, wait, refused, denied, away, doubt]

    def _gauges(self, standing: Standing) -> list[Family]:
        survey = standing.survey
        jobs = Family("yb_jobs", "gauge", "Jobs, by where they stand")
        lines = dict(survey.lines)
        states = {
            "scheduled": survey.scheduled - survey.retrying, "retrying": survey.retrying,
            "enqueued": sum(line.waiting for line in lines.values()), "processing": survey.processing,
            "dead": survey.dead, "ended": survey.ended, "quarantined": survey.quarantined,
        }  # fmt: skip
        for state, count in states.items():
            jobs.add(count, state=state)
        waiting = Family("yb_jobs_waiting", "gauge", "Jobs that may run, by kind and lane")
        oldest = Family("yb_oldest_waiting_seconds", "gauge", "Age of the oldest job that may run")
        for name, line in sorted(lines.items()):
            kind, _, lane = name.rpartition(":")
            waiting.add(line.waiting, kind=kind, lane=lane)
        oldest.add(max((line.oldest or 0 for line in lines.values()), default=0) / 1000)
        return [jobs, waiting, oldest, *self._workers(survey), *self._others(standing)]

    def _workers(self, survey: Survey) -> list[Family]:
        alive = [one for one in dict(survey.workers).values() if one.silent / 1000 <= LOST * self._queue.lease]
        workers = Family("yb_workers", "gauge", "Workers that are alive")
        workers.add(len(alive))
        capacity = Family("yb_worker_capacity", "gauge", "Jobs that these workers run at once")
        capacity.add(sum(one.capacity for one in alive))
        return [workers, capacity]

    def _others(self, standing: Standing) -> list[Family]:
        held = Family("yb_held", "gauge", "Kinds and channels whose jobs are held, and whether by a breaker")
        for channel, gate in sorted(dict(standing.survey.gates).items()):
            if gate.pace is None:
                held.add(1, channel=channel, by="breaker" if gate.by == "breaker" else "operator")
        breakers = Family("yb_smtp_breaker_open", "gauge", "Workers that leave an SMTP server alone")
        for server in sorted({*self._servers, *standing.breakers}):
            breakers.add(standing.breakers[server], server=server)
        behind = Family("yb_recorder_lag_entries", "gauge", "Entries of events that the job log lacks")
        behind.add(standing.lag[0])
        late = Family("yb_recorder_lag_seconds", "gauge", "Age of the oldest event that the job log lacks")
        late.add(standing.lag[1])
        went = Family("yb_log_shed", "counter", "What left the queue for want of room before the job log had it")
        for what in SHED:
            went.add(standing.shed[what], what=what)
        apart = Family("yb_log_drift", "gauge", "Jobs of which queue and log tell different things, as last compared")
        for what in DRIFT:
            apart.add(standing.drift[what], what=what)
        return [held, breakers, behind, late, went, apart]
