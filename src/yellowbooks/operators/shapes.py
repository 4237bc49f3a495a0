"""What the operators' routes answer, as JSON: times are RFC 3339 in UTC, durations seconds."""

from typing import Any

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


class Point(Shape):
    """What happened from `at` on. `in` came and `out` left (completed, dead or cancelled), `failed` are attempts; of
    the waits and runs 95 of a hundred were no longer; `depth` is how many jobs were not at their end when it ended."""

    at: str
    came: int = msgspec.field(name="in")
    out: int
    failed: int
    dead: int
    depth: int
    wait_p95: float | None = msgspec.field(name="waitP95", default=None)
    run_p95: float | None = msgspec.field(name="runP95", default=None)


class Series(Shape):
    """Points in the order of time."""

    points: list[Point]


class Row(Shape):
    """A job in a list. `userId` is masked, and null once the payload was dropped; `userRef` is the same for one user
    in all his jobs and says nothing of him."""

    job_id: str
    type: str
    status: str
    attempts: int
    max_attempts: int
    created_at: str
    updated_at: str
    error: str | None = None
    user_id: str | None = None
    user_ref: str | None = None
    request_id: str | None = None


class JobList(Shape):
    """A page of jobs, newest first; `next` is the cursor of the following one."""

    jobs: list[Row]
    next: str | None = None


class Found(Shape):
    """What a search found, and by what: jobId, messageId, email, requestId or userId; null where by nothing."""

    jobs: list[Row]
    by: str | None
    took_ms: float


class Step(Shape, omit_defaults=True):
    """A step of a job's way. The first is `received` (`detail`: the name of the HTTP request), the last one of a mail
    `replied` (`detail`: the server's words) and `completed`; what is between are the engine's transitions."""

    at: str
    event: str
    status: str | None = None
    worker: str | None = None
    attempt: int | None = None
    detail: str | None = None
    error: str | None = None
    cause: str | None = None
    release: str | None = None
    trace: str | None = None
    by: str | None = None
    next_attempt_at: str | None = None
    progress: float | None = None


class MailOf(Shape):
    """The mail of a job; `reply` are the server's words once it took it."""

    message_id: str | None = None
    subject: str | None = None
    reply: str | None = None


class JobPage(Row):
    """All that is known of a job. `payload` is masked, and null once it was dropped."""

    crashes: int = 0
    generation: int = 1
    explain: str | None = None
    timeline: list[Step] = []
    payload: dict[str, Any] | None = None
    mail: MailOf | None = None
    trouble: list[Trouble] = []


class ActOf(Shape):
    """One act in the trail: `who` is the name that the operator gave himself, `key` tells his key from others."""

    at: str
    who: str
    key: str
    act: str
    what: str
    before: Any = None
    after: Any = None
    reason: str = ""


class Acts(Shape):
    """A page of the trail, newest first."""

    acts: list[ActOf]
    next: int | None = None


class ActState(Shape):
    """An act on many jobs: waiting until `at`, running (`done` of `count`), done, undone or failed (`error`)."""

    act_id: str
    act: str
    count: int
    done: int
    at: str
    state: str
    error: str | None = None


class KindHeld(Shape):
    """Who holds a kind or its channel, since when and why."""

    since: str | None
    by: str
    why: str


class RateOf(Shape):
    """So many in so many seconds; `left` now, where that is known."""

    count: int
    seconds: float
    left: float | None = None


class KindOf(Shape):
    """A kind of job, its limits, and how many wait and run. `processing` is null where too many run to be counted."""

    kind: str
    channel: str
    paused: KindHeld | None = None
    waiting: int = 0
    processing: int | None = 0
    attempts: int | None = None
    rate: RateOf | None = None
    quota: RateOf | None = None
    exclusive: bool = False
    deadline_seconds: float | None = None


class KindList(Shape):
    """Every kind that is known here or waits."""

    kinds: list[KindOf]


class Suppressed(Shape):
    """An address that gets no mail, by its keyed hash; the list has no address, so `address` is null."""

    key: str
    why: str
    since: str | None
    until: str | None
    cause: str
    strikes: int = 0
    address: str | None = None
    reply: str | None = None


class SuppressedList(Shape):
    """A page of them, newest first."""

    suppressions: list[Suppressed]
    next: str | None = None
