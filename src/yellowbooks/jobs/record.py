"""A job as the queue stores it, read back."""

from collections.abc import Iterator, Sequence

import msgspec

from yellowbooks.jobs.events import Event
from yellowbooks.jobs.job import Job, State

_EVENT = msgspec.msgpack.Decoder(Event, strict=False)
FIELDS = (
    "kind",
    "state",
    "attempts",
    "max_attempts",
    "crashes",
    "generation",
    "created",
    "started",
    "ended",
    "due",
    "error",
    "history",
)


def event_of(packed: bytes) -> Event:
    """An event as the stream holds it."""
    return _EVENT.decode(packed)


def job_of(job_id: str, values: Sequence[bytes | None]) -> Job | None:
    """The job in the values of `FIELDS`, or None where there is no record."""
    field = dict(zip(FIELDS, values, strict=True))
    if field["kind"] is None or field["state"] is None:
        return None

    def number(name: str) -> int | None:
        value = field[name]
        return int(value) if value is not None else None

    created = number("created") or 0
    kind, most = field["kind"].decode(), number("max_attempts") or 0
    history = tuple(_events(field["history"] or b""))
    if not history or history[0].name != "admitted":
        history = (
            Event(job=job_id, name="admitted", at=created, kind=kind, state=State.ENQUEUED, max_attempts=most),
            *history,
        )
    return Job(
        id=job_id,
        kind=kind,
        state=State(field["state"].decode()),
        attempts=number("attempts") or 0,
        max_attempts=most,
        crashes=number("crashes") or 0,
        generation=1 + (number("generation") or 0),
        created=created,
        started=number("started"),
        ended=number("ended"),
        due=number("due"),
        error=field["error"].decode() if field["error"] else None,
        history=history,
    )


def _events(history: bytes) -> Iterator[Event]:
    """A history is events one after another, each a length of two bytes and its MessagePack."""
    while history:
        end = 2 + int.from_bytes(history[:2], "big")
        yield _EVENT.decode(history[2:end])
        history = history[end:]
