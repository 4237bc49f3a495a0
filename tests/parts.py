"""What many tests need: a small kind of job, waiting without sleeping, and the invariants of the queue."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from valkey import Valkey

from yellowbooks.jobs import Kind, Lease, Payload, Queue
from yellowbooks.jobs.record import Record, job_of, parse

INDEX_OF = {
    "scheduled": "due", "retrying": "due", "enqueued": "enqueued", "processing": "leases", "dead": "dead",
    "completed": "ended", "cancelled": "ended",
}  # fmt: skip
SCANNED = 10_000
"""Keys a step of a scan walks: the shared server holds every earlier test's keys too."""


class Ping(Payload):
    user: str = "bat"
    note: str = ""

    def key(self) -> str | None:
        return self.user


class Told:
    """Keeps what parts tell."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, word: str, **fields: Any) -> None:
        self.lines.append((word, fields))

    def words(self) -> list[str]:
        return [word for word, _ in self.lines]


async def take(queue: Queue, *kinds: str, room: int = 10) -> list[Lease]:
    leases, _ = await queue.claim(kinds or ("ping",), room)
    return leases


async def put(queue: Queue, kind: Kind[Ping], count: int = 1, **fields: Any) -> list[str]:
    """Admit jobs of different users."""
    ids = []
    for number in range(count):
        job_id, receipt = await queue.admit(kind, Ping(**({"user": f"user-{number}"} | fields)))
        assert receipt.word == "admitted"
        ids.append(job_id)
    return ids


async def eventually(true: Callable[[], Any] | Callable[[], Awaitable[Any]], seconds: float = 10.0) -> Any:
    """Wait until the condition holds; its value."""
    deadline = time.monotonic() + seconds
    while True:
        value = true()
        value = await value if asyncio.iscoroutine(value) else value
        if value:
            return value
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def shift_clock(client: "Valkey[bytes]", tag: str, *, wall: int = 0, logical: int = 0) -> int:
    """Move what the scripts remember of the clock (ms); gives the logical clock."""
    stored = client.get(f"{tag}:clock")
    assert stored
    clock = [int.from_bytes(stored[n : n + 6], "big") for n in (0, 6)]
    moved = [clock[0] + wall, clock[1] + logical]
    client.set(f"{tag}:clock", b"".join(value.to_bytes(6, "big") for value in moved) + stored[12:])
    return moved[1]


def records(client: "Valkey[bytes]", tag: str) -> dict[str, Record]:
    """Every job of a queue, by id."""
    prefix = f"{tag}:job:".encode()
    keys = client.scan_iter(f"{tag}:job:*", count=SCANNED)
    found = {key.removeprefix(prefix).decode(): parse(client.get(key)) for key in keys}
    assert all(found.values())
    return {job_id: record for job_id, record in found.items() if record}


def check_consistent(url: str, tag: str) -> None:
    """A job is in exactly one index, and its record agrees; no record and no entry is an orphan.

    Only the line of a cancelled job may still hold its id: its turn is passed over when it comes. The dead stand in the
    groups of their fingerprints too.
    """
    client = Valkey.from_url(url)
    jobs = records(client, tag)
    places: dict[str, list[str]] = {}
    waiting: dict[str, int] = {}
    for key in client.scan_iter(f"{tag}:*", count=SCANNED):
        name = key.decode().removeprefix(f"{tag}:")
        index, _, line = name.partition(":")
        if index in ("enqueued", "behind"):
            ids = [job_id.decode() for job_id in client.lrange(key, 0, -1)]
            here = [job_id for job_id in ids if job_id in jobs and jobs[job_id].state == "enqueued"]
            for job_id in here:
                assert line.split(":")[0] == jobs[job_id].kind
            assert all(jobs[job_id].state == "cancelled" for job_id in ids if job_id in jobs and job_id not in here)
            if index == "enqueued":
                waiting[line.rpartition(":")[0]] = waiting.get(line.rpartition(":")[0], 0) + len(ids)
            ids, index = here, "enqueued"
        elif index in ("due", "leases", "dead"):
            ids = [job_id.decode() for job_id in client.zrange(key, 0, -1)]
        elif index == "ended":
            ids = [job_id.decode() for job_id in client.lrange(key, 0, -1)]
        else:
            continue
        for job_id in ids:
            places.setdefault(job_id, []).append(index)
    for kind, stored in client.hgetall(f"{tag}:lines").items():
        for lane in range(3):
            count = int.from_bytes(stored[18 * lane + 12 : 18 * lane + 18], "big")
            assert count == waiting.get(f"{kind.decode()}:{lane}", 0), (kind, lane)
    storied = client.scan_iter(f"{tag}:story:*", count=SCANNED)
    stories = {key.decode().removeprefix(f"{tag}:story:") for key in storied}
    assert stories <= set(jobs)
    check_groups(client, tag)
    client.close()
    assert {job_id: [INDEX_OF[job.state]] for job_id, job in jobs.items()} == places


def check_groups(client: "Valkey[bytes]", tag: str) -> None:
    """Each dead job is in the one group that its history says, at its place in `dead`; no group is empty or unnamed."""
    dead = {job_id.decode(): int(place) for job_id, place in client.zrange(f"{tag}:dead", 0, -1, withscores=True)}
    died = {job_id.decode(): said.decode().split(" ") for job_id, said in client.hgetall(f"{tag}:died").items()}
    assert {job_id: int(place) for job_id, (place, _) in died.items()} == dead
    names = {key.decode(): msgspec.msgpack.decode(said) for key, said in client.hgetall(f"{tag}:causes").items()}
    for job_id, (_, group) in died.items():
        job = job_of(job_id, client.get(f"{tag}:job:{job_id}") or b"", client.get(f"{tag}:story:{job_id}") or b"")
        assert job
        failed = job.failed
        assert names[group] == [job.kind, (failed and failed.cause) or "", (failed and failed.release) or ""]
    groups = {key.decode().rpartition(":")[2] for key in client.scan_iter(f"{tag}:died:*", count=SCANNED)}
    assert groups == set(names)
    members = {
        (group, job_id.decode(), int(place))
        for group in groups
        for job_id, place in client.zrange(f"{tag}:died:{group}", 0, -1, withscores=True)
    }
    assert members == {(group, job_id, dead[job_id]) for job_id, (_, group) in died.items()}
