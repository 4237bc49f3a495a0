"""How events become a row: pure, so that a batch told twice, in part or out of order gives the same row."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from yellowbooks.jobs import KEY_LENGTH, Event


class Row(msgspec.Struct, kw_only=True):
    """A job as the log holds it. Times are milliseconds since 1970-01-01T00:00:00Z.

    `last_event` is the place of the newest event in it. `request_id` names the request that brought it, `ref` is the
    first key that it is found by: whom it is about. `history` has only the lines that the table lacks, one
    event each as JSON; `fresh` says that they replace what the table has, as the job was admitted anew.
    """

    job_id: str
    kind: str
    status: str
    created_at: int
    last_event: str = ""
    attempts: int = 0
    max_attempts: int = 0
    crashes: int = 0
    started_at: int | None = None
    processed_at: int | None = None
    next_attempt_at: int | None = None
    error: str | None = None
    history: str = ""
    request_id: str | None = None
    ref: str | None = None
    fresh: bool = False


def place(position: str) -> str:
    """A stream position such as `1763968888123-0` as text that sorts as the stream does.

    Raises `ValueError` where it is no position.
    """
    milliseconds, _, sequence = position.partition("-")
    if not (milliseconds.isdecimal() and sequence.isdecimal()):
        raise ValueError(f"{position!r} is no position in a stream; a right one is 1763968888123-0")
    return f"{int(milliseconds):016d}-{int(sequence):010d}"


Heard = Callable[[Row | None, Event], None]
"""Hears of an event that the log did not have, and of the job's row before it."""


def fold(events: Iterable[Event], known: Mapping[str, Row], heard: Heard = lambda _row, _event: None) -> list[Row]:
    """The rows of the jobs that these events change, by job id; events that a known row has are passed over.

    Raises `ValueError` where an event has no position or cannot be read. `known` is left as it is.
    """
    rows: dict[str, Row] = {}
    events = list(events)
    if any(event.name == "unreadable" for event in events):
        raise ValueError("the queue holds an entry of events that cannot be read")
    for at, event in sorted(((place(event.position), event) for event in events), key=lambda pair: pair[0]):
        row = rows.get(event.job) or known.get(event.job)
        if row is None or row.last_event < at:
            heard(row, event)
            rows[event.job] = _apply(row, event, at)
    return [rows[job_id] for job_id in sorted(rows)]


ENDED = ("completed", "cancelled")
BRINGS = ("admitted", "edited", "restored")  # events after which a job has a body that the log did not see


def bodied(events: Sequence[Event]) -> list[str]:
    """The jobs that got a body by these events and are not at their end with them."""
    brought = {event.job for event in events if event.name in BRINGS}
    states = {event.job: event.state for event in events}
    return [job_id for job_id in brought if states[job_id] not in ENDED]


def _apply(before: Row | None, event: Event, at: str) -> Row:
    if before is None or event.name == "admitted":
        row = Row(
            job_id=event.job, kind=event.kind, status=event.state, created_at=event.at,
            request_id=event.request, ref=(event.found or "")[:KEY_LENGTH] or None, fresh=event.name == "admitted",
        )  # fmt: skip
    else:
        row = msgspec.structs.replace(before)
    _apply_name(row, event)
    row.kind, row.status, row.attempts = event.kind, event.state, event.attempt
    row.max_attempts = event.max_attempts or row.max_attempts
    row.next_attempt_at = event.due
    row.last_event = at
    line = msgspec.structs.replace(event, position="", found=None, request=None)
    row.history += msgspec.json.encode(line).decode() + "\n"
    return row


def _apply_name(row: Row, event: Event) -> None:
    error = event.error.replace("\0", "�") if event.error else None  # PostgreSQL's text holds no NUL
    match event.name:
        case "claimed":
            row.started_at = event.at
        case "completed":
            row.processed_at, row.error = event.at, None
        case "cancelled" | "discarded":
            row.processed_at = event.at
        case "retried" | "deferred":
            row.error = error
        case "crashed":
            row.error = error
            row.crashes += 1
        case "died":
            row.processed_at, row.error = event.at, error
            # A lost worker costs no attempt: only then does the count go back.
            row.crashes += event.attempt < row.attempts
        case "edited":
            row.ref = (event.found or "")[:KEY_LENGTH] or row.ref
        case "restored":
            row.started_at, row.error = None, error or row.error
        case "requeued":
            row.started_at = row.processed_at = row.error = None
            row.crashes = 0
