"""What many tests need: a small kind of job, waiting without sleeping, and the invariants of the queue."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from valkey import Valkey

from yellowbooks.jobs import Kind, Lease, Payload, Queue

INDEX_OF = {
    "scheduled": "due", "retrying": "due", "enqueued": "enqueued", "processing": "leases", "dead": "dead",
    "completed": "ended", "cancelled": "ended",
}  # fmt: skip


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


def check_consistent(url: str, tag: str) -> None:
    """A job is in exactly one index, and its record agrees; no record and no entry is an orphan."""
    client = Valkey.from_url(url, decode_responses=True)
    places: dict[str, list[str]] = {}
    for key in client.scan_iter(f"{tag}:*", count=1000):
        name = key.removeprefix(f"{tag}:")
        index = name.partition(":")[0]
        if index in ("due", "enqueued", "leases", "dead", "ended"):
            for job_id in client.zrange(key, 0, -1):
                places.setdefault(job_id, []).append(index)
                if index == "enqueued":
                    assert client.hget(f"{tag}:job:{job_id}", "kind") == name.partition(":")[2]
    records = {key.removeprefix(f"{tag}:job:"): client.hget(key, "state") for key in client.scan_iter(f"{tag}:job:*")}
    client.close()
    assert {job_id: [INDEX_OF[state]] for job_id, state in records.items()} == places
