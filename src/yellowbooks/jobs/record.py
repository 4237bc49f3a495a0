"""A job as the queue stores it: written by the caller, changed by the scripts, read back here.

A record is a head of fixed length that belongs to the scripts, then the body: fingerprint, lane, attempts, flags, kind,
account, nonce, and the payload. Behind the nonce, within its length, stands the trace context of a job that is traced:
a version that knows of none passes it over. Both layouts stand in `transitions/prelude.lua` too; a test compares them.
"""

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from yellowbooks.jobs.events import Event
from yellowbooks.jobs.job import Job, State, failure
from yellowbooks.jobs.seal import MARK as SEALED

VERSION = 1
HEAD = struct.Struct(">BBBB16s6s6sIBBH6s6s")
BODY = struct.Struct(">8sBBB")
STATES = tuple(State)
ENQUEUED = 1 + STATES.index(State.ENQUEUED)
HOLD, EXCLUSIVE = 1, 2
COMMITTED, STORIED = 1, 2  # marks: past the point of no return; the claim stands in the story
NO_TOKEN = bytes(16)
TRACE_SIZE = 25  # trace id, span id and flags (W3C Trace Context, 3.2.2) as bytes


class One(msgspec.Struct, array_like=True):
    """One event in a group of them."""

    job: str
    attempt: int
    max_attempts: int
    more: dict[str, Any] | None = None


class Group(msgspec.Struct, array_like=True):
    """Events one after another, of one name, kind and state, as a stream's entry holds them."""

    name: str
    kind: str
    state: str
    events: list[One]


class Line(msgspec.Struct, array_like=True):
    """One event as a job's own story holds it."""

    name: str
    at: int
    state: str
    attempt: int
    more: dict[str, Any] | None = None


class Record(NamedTuple):
    """What stands in a record. Times are milliseconds since 1970-01-01T00:00:00Z, `logical` by the logical clock."""

    state: State
    attempts: int
    crashes: int
    uncertain: int
    committed: bool
    storied: bool
    generation: int
    token: str
    logical: int
    created: int
    started: int
    at: int
    fingerprint: bytes
    lane: int
    max_attempts: int
    flags: int
    kind: str
    account: str
    payload: bytes


_GROUPS = msgspec.msgpack.Decoder(list[Group], strict=False)
_LINE = msgspec.msgpack.Decoder(Line, strict=False)
_number = int.from_bytes


def body(
    fingerprint: bytes, nonce: bytes, lane: int, most: int, flags: int, kind: bytes, account: bytes, payload: bytes
) -> bytes:
    """The caller's part of a record; `most` is how many attempts it has."""
    fixed = BODY.pack(fingerprint, lane, most, flags)
    return b"%b%c%b%c%b%c%b%b" % (fixed, len(kind), kind, len(account), account, len(nonce), nonce, payload)


def parse(raw: bytes) -> Record | None:
    """A record, or None where it is none that this version can read."""
    if len(raw) < HEAD.size + BODY.size + 3 or raw[0] != VERSION or not 1 <= raw[1] <= len(STATES):
        return None
    (_, state, attempts, marks, token, started, at, _, crashes, uncertain, generation, logical,
     created) = HEAD.unpack_from(raw)  # fmt: skip
    fingerprint, lane, most, flags = BODY.unpack_from(raw, HEAD.size)
    kind_at = HEAD.size + BODY.size + 1
    account_at = kind_at + raw[kind_at - 1] + 1
    try:
        nonce_at = account_at + raw[account_at - 1] + 1
        payload_at = nonce_at + raw[nonce_at - 1]
        kind, account = raw[kind_at : account_at - 1].decode(), raw[account_at : nonce_at - 1].decode()
    except (UnicodeDecodeError, IndexError):
        return None
    return Record(
        STATES[state - 1], attempts, crashes, uncertain, bool(marks & COMMITTED), bool(marks & STORIED), generation,
        token.decode("latin-1"), _number(logical), _number(created), _number(started), _number(at), fingerprint, lane,
        most, flags, kind, account, raw[payload_at:],
    )  # fmt: skip


def stored_of(raw: bytes) -> tuple[str, bytes] | None:
    """The kind and the payload in a record, or None where it has none."""
    record = parse(raw)
    return (record.kind, record.payload) if record and record.payload else None


def body_in(raw: bytes, *, sealed: bool) -> bytes | None:
    """The caller's part of a record, or None where it has no payload; with `sealed` also where that has no seal."""
    record = parse(raw)
    if not record or not record.payload or (sealed and record.payload[: len(SEALED)] != SEALED):
        return None
    return raw[HEAD.size :]


def position_in(raw: bytes) -> str:
    """The place of the newest event of the job in a record that `parse` reads."""
    head = HEAD.unpack_from(raw)
    return f"{_number(head[6])}-{head[7]}"


def account_in(body: bytes) -> str:
    """Whom a body counts for; "" where nobody is counted, or nobody can read it."""
    try:
        at = BODY.size + 2 + body[BODY.size]
        return body[at : at + body[at - 1]].decode()
    except (IndexError, UnicodeDecodeError):
        return ""


def claimed(raw: bytes) -> tuple[bool, int, int, int, int, str, str, bytes, bytes] | None:
    """What a lease needs of a record that was claimed, in a third of the time of `parse`: whether it is as it was
    before the claim, attempts, uncertain, created, started, token, kind, payload, trace context. None where it cannot
    be read."""
    try:
        (_, state, attempts, _, token, started, _, _, _, uncertain, _, _, created) = HEAD.unpack_from(raw)
        kind_at = HEAD.size + BODY.size + 1
        account_at = kind_at + raw[kind_at - 1] + 1
        nonce_at = account_at + raw[account_at - 1] + 1
        payload_at = nonce_at + raw[nonce_at - 1]
        return (
            state == ENQUEUED, attempts, uncertain, _number(created), _number(started), token.decode("latin-1"),
            raw[kind_at : account_at - 1].decode(), raw[payload_at:],
            raw[payload_at - TRACE_SIZE : payload_at] if payload_at - nonce_at >= TRACE_SIZE else b"",
        )  # fmt: skip
    except (struct.error, IndexError, UnicodeDecodeError):
        return None


def events_of(position: bytes, packed: bytes, worker: bytes) -> list[Event]:
    """The events of one entry of the stream, which bears the position of its last one.

    An entry that cannot be read is one event of the name `unreadable`: what follows it must not wait for it.
    """
    at, seq = (int(part) for part in position.split(b"-"))
    try:
        told = [(group, one) for group in _GROUPS.decode(packed) for one in group.events]
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return [Event(job="", name="unreadable", at=at, kind="", state="", position=position.decode())]
    first = seq - len(told) + 1
    return [
        Event(
            job=one.job, name=group.name, at=at, kind=group.kind, state=group.state, attempt=one.attempt,
            max_attempts=one.max_attempts, position=f"{at}-{first + n}",
            **({"worker": worker.decode(errors="replace")} if group.name == "claimed" else _known(one.more or {})),
        )
        for n, (group, one) in enumerate(told)
    ]  # fmt: skip


# What an entry may tell besides what each has.
_FIELDS = frozenset(Event.__struct_fields__) - {
    "job", "name", "at", "kind", "state", "attempt", "max_attempts", "position",
}  # fmt: skip


def _known(more: dict[str, Any]) -> dict[str, Any]:
    """What this version knows of an event: a newer one beside it may tell more."""
    return more if more.keys() <= _FIELDS else {name: value for name, value in more.items() if name in _FIELDS}


def job_of(job_id: str, raw: bytes, story: bytes) -> Job | None:
    """The job of a record and its story, or None where there is no record that can be read."""
    record = parse(raw)
    if record is None:
        return None
    history = tuple(_history(job_id, record, story))
    ended = record.state in (State.COMPLETED, State.CANCELLED, State.DEAD)
    return Job(
        id=job_id,
        kind=record.kind,
        state=record.state,
        attempts=record.attempts,
        max_attempts=record.max_attempts,
        crashes=record.crashes,
        generation=1 + record.generation,
        created=record.created,
        started=record.started or None,
        ended=record.at if ended else None,
        due=history[-1].due if record.state in (State.SCHEDULED, State.RETRYING) else None,
        failed=failure(history),
        history=history,
    )


def _history(job_id: str, record: Record, story: bytes) -> Iterator[Event]:
    lines = list(_lines(story))
    if not lines or lines[0].name != "admitted":
        lines.insert(0, Line("admitted", record.created, State.ENQUEUED, 0))
    if record.state in (State.PROCESSING, State.COMPLETED) and not record.storied:
        worker = {"worker": record.token[:8]}
        lines.append(Line("claimed", record.started, State.PROCESSING, record.attempts, worker))
    if record.state is State.COMPLETED:
        lines.append(Line("completed", record.at, State.COMPLETED, record.attempts))
    for line in lines:
        yield Event(
            job=job_id, name=line.name, at=line.at, kind=record.kind, state=line.state, attempt=line.attempt,
            max_attempts=record.max_attempts, **_known(line.more or {}),
        )  # fmt: skip


def _lines(story: bytes) -> Iterator[Line]:
    """A story is lines one after another, each a length of two bytes and its MessagePack. It ends at one that cannot be
    read: the job is shown all the same."""
    while story:
        end = 2 + int.from_bytes(story[:2], "big")
        try:
            line = _LINE.decode(story[2:end])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        yield line
        story = story[end:]
