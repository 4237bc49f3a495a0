"""The numbers of now, from the queue's survey and the job log's last minutes: cheap, and asked once for all."""

import asyncio
import time
from datetime import UTC, datetime

from yellowbooks.jobs import Queue, QueueUnavailable, Survey
from yellowbooks.operators.desk import Log
from yellowbooks.operators.lately import Lately
from yellowbooks.operators.shapes import Depth, Held, NowBody, Rates, RunningJob, Trouble, WorkerNow
from yellowbooks.operators.watch import Watch
from yellowbooks.views import time as shown_time

NAMED = 200  # running jobs that are named
FRESH_SECONDS = 0.5  # how old an answer may be
ANSWER_SECONDS = 3.0  # what the queue gets to answer
SILENT = 0.7  # of a lease: a worker that missed two renewals is taken for gone


class Now:
    """Answers what goes on now. Never raises: what is away is named in the answer."""

    def __init__(self, queue: Queue, watch: Watch, log: Log) -> None:
        self._queue = queue
        self._lately = Lately(log)
        self._watch = watch
        self._made = 0.0
        self._body: NowBody | None = None
        self._making = asyncio.Lock()

    async def body(self) -> NowBody:
        """The numbers, at most half a second old."""
        async with self._making:
            if self._body is None or time.monotonic() - self._made > FRESH_SECONDS:
                self._body = await self._make()
                self._made = time.monotonic()
            return self._body

    async def _make(self) -> NowBody:
        body = NowBody(at=shown_time(round(datetime.now(UTC).timestamp() * 1000)) or "")
        recent, survey = await asyncio.gather(self._lately.recent(), self._survey())
        if isinstance(survey, str):
            body.trouble.append(Trouble(part="queue", error=survey))
        else:
            describe(body, survey, self._queue.lease)
        if recent.error is not None:
            body.trouble.append(Trouble(part="log", error=recent.error))
        if body.depth:
            body.depth.completed, body.depth.cancelled = recent.completed, recent.cancelled
        body.wait, body.run, body.error_rate = recent.wait, recent.run, recent.error_rate
        rates = self._watch.rates()
        body.rates = Rates(in_per_second=rates[0], out_per_second=rates[1]) if rates else recent.rates
        return body

    async def _survey(self) -> Survey | str:
        """The survey, or why there is none."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self._queue.survey(NAMED)
        except TimeoutError:
            return f"the queue does not answer within {ANSWER_SECONDS:.0f} s; see Valkey's log"
        except QueueUnavailable as error:
            return str(error)


def describe(body: NowBody, survey: Survey, lease: float) -> None:
    """Write into the body what a survey says; `lease` (s) is how long a worker may be silent."""
    lines = dict(survey.lines)
    body.depth = Depth(
        scheduled=survey.scheduled - survey.retrying,
        enqueued=sum(line.waiting for line in lines.values()),
        processing=survey.processing,
        retrying=survey.retrying,
        dead=survey.dead,
        quarantined=survey.quarantined,
    )
    ages = [line.oldest for line in lines.values() if line.oldest is not None]
    body.oldest_waiting_seconds = max(ages) / 1000 if ages else None
    body.workers = _workers(survey, lease)
    body.held = _held(survey)
    known = {kind for worker in body.workers if not worker.gone for kind in worker.kinds}
    waiting = {name.rpartition(":")[0] for name, line in lines.items() if line.waiting}
    body.unheard = sorted(waiting - known)
    body.listening = bool(known) and not body.unheard


def _workers(survey: Survey, lease: float) -> list[WorkerNow]:
    running: dict[str, list[RunningJob]] = {}
    for one in survey.running:
        running.setdefault(one.worker, []).append(
            RunningJob(
                job_id=one.id, type=one.kind, since_seconds=max(0, one.since) / 1000, attempt=one.attempt,
                committed=one.committed,
            )
        )  # fmt: skip
    return [
        WorkerNow(
            id=worker, about=about.about, kinds=[kind.name for kind in about.kinds], capacity=about.capacity,
            running=running.get(worker, []), seen_seconds=about.silent / 1000,
            gone=about.silent / 1000 > SILENT * lease,
        )
        for worker, about in sorted(dict(survey.workers).items())
    ]  # fmt: skip


def _held(survey: Survey) -> list[Held]:
    return [
        Held(what=what, since=shown_time(gate.since or None), by=gate.by, why=gate.reason, pace=gate.pace)
        for what, gate in sorted(dict(survey.gates).items())
    ]
