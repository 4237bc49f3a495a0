"""What the queue has, page by page, and how it gets back what it lost: for who compares it with the job log."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from yellowbooks.jobs import record
from yellowbooks.jobs.batch import MOST_ITEMS, chunks
from yellowbooks.jobs.events import Event
from yellowbooks.jobs.job import Job, State
from yellowbooks.jobs.partitions import Part, Partitions, home_of, parts_of
from yellowbooks.jobs.queue import Queue
from yellowbooks.jobs.verbs import Place, Restored

SCANNED = 1000  # keys that one step of the walk looks at
STORY = 12_000  # bytes of a story that comes back; the scripts stop at 16,384
_pack = msgspec.msgpack.Encoder().encode


class Standing(NamedTuple):
    """A job as the queue has it. `position` is the place of its newest event; `body` is None where it has no payload,
    or none that may be kept; `shredded`: what it said of a person is gone on purpose."""

    job: Job
    position: str
    body: bytes | None
    shredded: bool


async def standing(part: Queue, *, sealed: bool) -> AsyncIterator[list[Standing]]:
    """All jobs of a queue that is one, a hundred at a time; one may come twice. Raises `QueueUnavailable`.

    `sealed` is that of `Queue.bodies`.
    """
    client, prefix, cursor = part.link.client, f"{part.tag}:job:", 0
    while True:
        cursor, keys = await part.link.reach(partial(client.scan, cursor, match=f"{prefix}*", count=SCANNED))
        for some in chunks((key.decode().removeprefix(prefix) for key in keys), MOST_ITEMS):
            stored = zip(some, await part.records(some), strict=True)
            found = (_standing(job_id, raw, story, sealed=sealed) for job_id, (raw, story) in stored)
            yield [one for one in found if one]
        if not cursor:
            return


def _standing(job_id: str, raw: bytes, story: bytes, *, sealed: bool) -> Standing | None:
    job, found = record.job_of(job_id, raw, story), record.parse(raw)
    if not job or not found:
        return None
    shredded = found.fingerprint == bytes(8) and job.state in (State.COMPLETED, State.CANCELLED)
    return Standing(job, record.position_in(raw), record.body_in(raw, sealed=sealed), shredded)


async def absent(queue: Queue, job_ids: Sequence[str]) -> list[str]:
    """Those of which the queue has no record. Raises `QueueUnavailable`."""
    left = list(job_ids)
    for part in parts_of(queue):
        keys = [f"{part.tag}:job:{job_id}" for job_id in left]
        found = await part.link.reach(partial(part.link.client.mget, keys)) if keys else []
        left = [job_id for job_id, raw in zip(left, found, strict=True) if raw is None]
    return left


async def note_partitions(queue: Queue) -> None:
    """Where the queue lost how many partitions it has, it has as many as this process was told."""
    if isinstance(queue, Partitions):
        link = queue.parts[0].link
        asks, link.before = link.before, None
        await link.execute("SET", f"{queue.parts[0].tag}:partitions", len(queue.parts), "NX")
        link.before = asks


async def bring_back(
    queue: Queue, lost: Sequence[tuple[Job, bytes]], windows: Mapping[str, float], after: int
) -> list[str]:
    """Make jobs again from what the log has of them, and their bodies; the answers are those of `Queue.restore`.

    `windows` has the unique windows (s) of kinds that have one, `after` the time (ms) of their newest event.
    """
    items = [(_restored(job, windows.get(job.kind, 0.0)), story_of(job.history), body) for job, body in lost]
    places = [_home(queue, record.account_in(body) or job.id) for job, body in lost]
    return await _restore(queue, items, places, after)


async def know_again(queue: Queue, seen: Iterable[tuple[int, str]]) -> list[str]:
    """Ids of jobs that ended, each with the time (ms) of its admission, are known again as having come before."""
    items = [
        (Restored(id=job_id, state=State.COMPLETED, attempts=0, crashes=0, generation=0, created=at), b"", b"")
        for at, job_id in seen
    ]
    return await _restore(queue, items, [_home(queue, item.id) for item, _, _ in items], 0)


async def _restore(
    queue: Queue, items: list[tuple[Restored, bytes, bytes]], places: list[Queue], after: int
) -> list[str]:
    answers: dict[int, str] = {}
    for part in parts_of(queue):
        numbers = [n for n, place in enumerate(places) if place is part]
        if not numbers:
            continue
        if isinstance(part, Part) and isinstance(queue, Partitions):
            await _name(queue, [items[n][0].id for n in numbers], part.number)
        answers |= zip(numbers, await part.restore([items[n] for n in numbers], after=after), strict=True)
    return [answers[n] for n in range(len(items))]


async def _name(queue: Partitions, job_ids: list[str], number: int) -> None:
    """Whoever comes with these ids is led to where their jobs are."""
    for part in queue.parts:
        ours = [Place(job_id, number) for job_id in job_ids if home_of(job_id, len(queue.parts)) == part.number]
        for some in chunks(ours, MOST_ITEMS):
            await part.name(some)


def _home(queue: Queue, text: str) -> Queue:
    parts = parts_of(queue)
    return parts[home_of(text, len(parts))]


def _restored(job: Job, window: float) -> Restored:
    runs = job.state is State.PROCESSING  # what was begun and is lost has cost no attempt
    return Restored(
        id=job.id, state=job.state, attempts=job.attempts - runs, crashes=job.crashes, generation=job.generation - 1,
        created=job.created, due=job.due or 0, ended=job.ended or 0, cause=job.cause or "",
        release=(job.failed.release if job.failed else None) or "", unique_window=round(window * 1000),
    )  # fmt: skip


def story_of(history: Sequence[Event]) -> bytes:
    """The end of a history as a record's story, as much as has room."""
    lines: list[bytes] = []
    room = STORY
    for event in reversed(history):
        line = _pack([event.name, event.at, event.state, event.attempt, *([more] if (more := _more(event)) else [])])
        room -= len(line) + 2
        if room < 0:
            break
        lines.append(len(line).to_bytes(2, "big") + line)
    return b"".join(reversed(lines))


_TOLD = ("due", "error", "cause", "release", "trace", "worker", "by", "note", "progress")


def _more(event: Event) -> dict[str, Any]:
    return {name: value for name in _TOLD if (value := getattr(event, name)) is not None}
