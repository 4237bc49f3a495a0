"""What the engine says about each transition: one event, written in the same atomic step."""

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One transition of one job; never any payload or personal data.

    `name` is the word of the transition (admitted, promoted, claimed, completed, retried, deferred, died, crashed,
    released, requeued, restored, cancelled, discarded, edited, noted). `at` and `due` are milliseconds since
    1970-01-01T00:00:00Z by the queue's clock; `at` never goes back. `state` is the state after the transition.
    `found` has the keys of the search for a job (see `Finder`), `request` the name of the request that brought it.
    `cause` groups failures of one sort; `release` is that of the worker where it failed; `by` is the operator, or the
    rule, that did it. `trace`, where in the code it failed, stands only in a job's own history. `position` is the
    event's place in the stream, such as `1763968888123-1`; it is empty in a job's own history.
    """

    job: str
    name: str
    at: int
    kind: str
    state: str
    attempt: int = 0
    max_attempts: int = 0
    due: int | None = None
    error: str | None = None
    cause: str | None = None
    release: str | None = None
    trace: str | None = None
    worker: str | None = None
    by: str | None = None
    found: str | None = None
    request: str | None = None
    note: str | None = None
    progress: float | None = None
    position: str = ""
