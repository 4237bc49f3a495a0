"""One sentence on why a job is where it is, and what happens next."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from yellowbooks.jobs.job import Job, State


class Gate(msgspec.Struct):
    """A gate that is not open: held by somebody (`probe`: a breaker tries so often, ms), or passed at a pace (jobs a
    second), which doubles every so many ms since it was let go, or stays."""

    by: str = ""
    reason: str = ""
    since: int = 0
    probe: int | None = None
    next: int | None = None
    pace: float | None = None
    doubles: int | None = None

    def pace_at(self, now: int) -> float:
        """How many jobs a second may pass now (ms since 1970)."""
        grown = 2 ** min(40.0, max(0, now - self.since) / self.doubles) if self.doubles else 1.0
        return (self.pace or 0.0) * grown


class Known(msgspec.Struct):
    """A kind that a worker takes."""

    name: str
    channel: str
    limit: int = 0
    window: int = 0


class Colleague(msgspec.Struct):
    """A worker that is registered. `silent` is how long (ms) nothing was heard of it, `idle` since it last claimed;
    `capacity` is how many jobs it runs at once (0: an older version, which does not say)."""

    kinds: list[Known]
    about: str
    capacity: int = 0
    silent: int = 0
    idle: int = 0


class Bucket(msgspec.Struct):
    """What a quota had left, and when."""

    tokens: float
    at: int


class Facts(msgspec.Struct):
    """What stands around a job. Times are ms since 1970, `lease` is ms from now."""

    now: int
    gates: dict[str, Gate] | list[Any] = msgspec.field(default_factory=dict)
    workers: dict[str, Colleague] | list[Any] = msgspec.field(default_factory=dict)
    buckets: dict[str, Bucket] | list[Any] = msgspec.field(default_factory=dict)
    waiting: int = 0
    committed: bool = False
    worker: str | None = None
    lease: int | None = None
    behind: str | None = None


def explain(job: Job | None, facts: Facts) -> str:
    """Why a job waits, or how it ended, and what happens next."""
    if job is None:
        return "The queue does not know this job: it never came, or left when its retention was over; see the job log."
    return _BY_STATE[job.state](job, facts)


def _scheduled(job: Job, _facts: Facts) -> str:
    return f"It is scheduled: it may run at {_at(job.due)}."


def _retrying(job: Job, _facts: Facts) -> str:
    if job.history[-1].name == "deferred":
        return f"It was put off ({job.error}), which spends no attempt; it is tried again at {_at(job.due)}."
    following = f"attempt {job.attempts + 1} of {job.max_attempts}"
    return f"Attempt {job.attempts} failed ({job.error}); {following} may start at {_at(job.due)}."


def _processing(job: Job, facts: Facts) -> str:
    late = " and is past the point of no return" if facts.committed else ""
    seconds = (facts.lease or 0) / 1000
    return (
        f"Worker {facts.worker} runs attempt {job.attempts} of {job.max_attempts} since {_at(job.started)}{late}; "
        f"unless it renews its lease within {seconds:.1f} s, the job goes to another."
    )


def _ended(job: Job, _facts: Facts) -> str:
    if job.state is State.DEAD:
        return f"It is dead since {_at(job.ended)} ({job.error}); requeue it, or discard it."
    if job.state is State.COMPLETED:
        return f"It was completed by attempt {job.attempts} at {_at(job.ended)}; nothing more happens."
    return f"It was {job.history[-1].name} at {_at(job.ended)}; nothing more happens."


def _enqueued(job: Job, facts: Facts) -> str:
    known = [kind for worker in _table(facts.workers).values() for kind in worker.kinds if kind.name == job.kind]
    channels = [job.kind, *(kind.channel for kind in known if kind.channel != job.kind)]
    gates = {channel: gate for channel in channels if (gate := _table(facts.gates).get(channel))}
    held = next((channel for channel, gate in gates.items() if gate.pace is None), None)
    if held:
        return _hold(held, gates[held])
    if not known:
        return f"No worker that runs now knows the kind {job.kind}; start one that does."
    if facts.behind and facts.behind != job.id:
        return f"It waits for job {facts.behind} of the same key, as one of them runs at a time."
    opens = next((at for kind in known if (at := _slot(kind, facts))), None)
    if opens:
        return f"The quota of {known[0].channel} is used up; its next slot opens at {_at(opens)}."
    paces = {channel: f"{gate.pace_at(facts.now):.4g}" for channel, gate in gates.items()}
    pace = "".join(f"; after a hold, {channel} lets {most} jobs a second go" for channel, most in paces.items())
    return f"It waits its turn in a line of {facts.waiting}; {len(known)} worker(s) take its kind{pace}."


def _slot(kind: Known, facts: Facts) -> int | None:
    """When the quota of a channel has room again, or None where it has now."""
    bucket = _table(facts.buckets).get(kind.channel)
    if not bucket or not kind.limit:
        return None
    tokens = bucket.tokens + (facts.now - bucket.at) * kind.limit / kind.window
    return None if tokens >= 1 else round(facts.now + (1 - tokens) * kind.window / kind.limit)


def _hold(channel: str, gate: Gate) -> str:
    held = f"{channel} is held since {_at(gate.since)} by {gate.by} ({gate.reason})"
    if gate.next:
        return f"{held}; one job tries it at {_at(gate.next)}, and if that works the rest follows."
    return f"{held}; it goes on when somebody lets it: unhold {channel}."


def _table(found: dict[str, Any] | list[Any]) -> dict[str, Any]:
    """An empty table of the server's is an empty array in MessagePack."""
    return found if isinstance(found, dict) else {}


def _at(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "a time that is not known"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_BY_STATE = {
    State.SCHEDULED: _scheduled,
    State.RETRYING: _retrying,
    State.ENQUEUED: _enqueued,
    State.PROCESSING: _processing,
    State.COMPLETED: _ended,
    State.DEAD: _ended,
    State.CANCELLED: _ended,
}
