"""What is wrong, by numbers: pure, but for `read`, which asks for them."""

from collections.abc import Mapping
from dataclasses import dataclass

from yellowbooks.jobs import Queue, parts_of
from yellowbooks.metrics import Tally, lag, recent

WINDOW_MINUTES = 5
FEWEST = 20  # attempts within the window below which no rate is one
PROCESSING_SHARE = 0.95
NAMED = 500  # running jobs whose age is looked at
LOST = 0.7  # of a lease: a worker that is silent for longer missed two renewals, and is not alive


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The numbers. `failures` is a share of attempts, `processing`, `oldest` and `log` (how far the job log is behind)
    are seconds; None: too few to say."""

    dead: int
    depth: int
    oldest: float
    workers: int
    log: float
    failures: float | None
    processing: float | None


async def read(queue: Queue) -> Reading:
    """Ask for the numbers: of now, and of the last five minutes. Raises `QueueUnavailable`."""
    survey, tally = await queue.survey(NAMED), await recent(queue, WINDOW_MINUTES)
    lines = list(dict(survey.lines).values())
    behind = max([(await lag(part))[1] for part in parts_of(queue)])
    running = max((one.since for one in survey.running), default=0) / 1000
    ended = tally.quantile(PROCESSING_SHARE)
    return Reading(
        dead=survey.dead,
        depth=sum(line.waiting for line in lines),
        oldest=max((line.oldest or 0 for line in lines), default=0) / 1000,
        workers=sum(one.silent / 1000 <= LOST * queue.lease for one in dict(survey.workers).values()),
        log=behind,
        failures=failure_rate(tally),
        processing=max(running, ended or 0.0) if running or ended is not None else None,
    )


def failure_rate(tally: Tally) -> float | None:
    """The share of attempts that failed; those that were put off are none of them."""
    counts = {name: sum(tally.event(kind, name) for kind in tally.kinds()) for name in ("completed", "retried", "died")}
    total = sum(counts.values())
    return (total - counts["completed"]) / total if total >= FEWEST else None


def troubles(reading: Reading, limits: Mapping[str, float]) -> dict[str, str]:
    """What is wrong by these limits, as a sentence that says what to look at; a name without a limit is not watched."""
    found: dict[str, str] = {}

    def over(name: str, value: float | None, text: str) -> None:
        limit = limits.get(name)
        if limit is not None and value is not None and value > limit:
            found[name] = text

    over("dead", reading.dead, f"{reading.dead} jobs are dead; see `yellowbooks dlq causes`")
    over("failures", reading.failures, f"{reading.failures or 0:.1%} of the attempts of the last {WINDOW_MINUTES} min "
         "failed; see `yellowbooks dlq causes` and the workers' log")  # fmt: skip
    over("processing", reading.processing, f"a job runs for {reading.processing or 0:.0f} s, or one in twenty of the "
         f"last {WINDOW_MINUTES} min did; see the SMTP server")  # fmt: skip
    over("depth", reading.depth, f"{reading.depth} jobs wait; start more workers, or see why they are slow")
    over("oldest", reading.oldest, f"a job has waited for {reading.oldest:.0f} s; `yellowbooks jobs explain` says why")
    over("log", reading.log, f"the job log is {reading.log:.0f} s behind; see its database and the recorder's log")
    least = limits.get("workers")
    if least is not None and reading.workers < least:
        found["workers"] = f"{reading.workers or 'no'} worker is alive; start one: yellowbooks worker"
    return found
