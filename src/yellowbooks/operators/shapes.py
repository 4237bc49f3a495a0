"""What the operators' routes answer, as JSON: times are RFC 3339 in UTC, durations seconds."""

import msgspec


class Shape(msgspec.Struct, kw_only=True, rename="camel"):
    """An answer; its names are camelCase in JSON."""


class Depth(Shape):
    """How many jobs stand where. `completed` and `cancelled` are those of the last 24 hours, by the job log."""

    scheduled: int
    enqueued: int
    processing: int
    retrying: int
    dead: int
    completed: int | None = None
    cancelled: int | None = None
    quarantined: int = 0


class Rates(Shape):
    """Jobs a second: over the last 10 s while somebody listens, else over the last minutes."""

    in_per_second: float
    out_per_second: float


class Percentiles(Shape):
    """Seconds that so many of a hundred jobs do not exceed."""

    p50: float
    p95: float
    p99: float


class RunningJob(Shape):
    """What a worker does; `committed`: it is past the point of no return."""

    job_id: str
    type: str
    since_seconds: float
    attempt: int
    committed: bool


class WorkerNow(Shape):
    """A worker. `running` names the first jobs; `capacity` is 0 where it does not say."""

    id: str
    about: str
    kinds: list[str]
    capacity: int
    running: list[RunningJob]
    seen_seconds: float
    gone: bool


class Held(Shape):
    """A kind or a channel whose jobs wait; with `pace` it was let go and leaves so many a second."""

    what: str
    since: str | None
    by: str
    why: str
    pace: float | None = None


class Trouble(Shape):
    """What is away, and what to do about it."""

    part: str
    error: str


class NowBody(Shape):
    """The whole of now. What cannot be known is null, and `trouble` says why.

    `listening` is false where no worker lives, or one of the kinds that wait (`unheard`) is known to none.
    """

    at: str
    depth: Depth | None = None
    oldest_waiting_seconds: float | None = None
    rates: Rates | None = None
    wait: Percentiles | None = None
    run: Percentiles | None = None
    error_rate: float | None = None
    workers: list[WorkerNow] = []
    held: list[Held] = []
    listening: bool = True
    unheard: list[str] = []
    trouble: list[Trouble] = []
