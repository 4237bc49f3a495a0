"""The queue: one method a verb, each exactly one script call; no other file touches Valkey."""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec
from valkey.asyncio import Valkey
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import ValkeyError

from yellowbooks.jobs.batch import MOST_ITEMS, Batch
from yellowbooks.jobs.events import Event
from yellowbooks.jobs.job import Job
from yellowbooks.jobs.kind import Kind, P, fingerprint
from yellowbooks.jobs.lease import Lease, LeaseLost
from yellowbooks.jobs.outcome import Completed, Outcome, Retry
from yellowbooks.jobs.record import FIELDS, event_of, job_of
from yellowbooks.jobs.verbs import VERBS, Admission, Held, Named, Receipt, Settlement

BACKLOG = 1_000_000  # jobs of one kind that may wait
CONNECT_SECONDS = 5.0
REPLY_SECONDS = 10.0  # a server that is silent for longer is taken for lost
RECONNECT_SECONDS = 0.05
LONGEST_BLOCK = 5.0  # seconds; well under the above

R = TypeVar("R")


class QueueUnavailable(ConnectionError):
    """The queue cannot be reached or refuses to write; nothing is known of the call's outcome."""


class Queue:
    """The engine's one door to Valkey (or Redis >= 7).

    Every method raises `QueueUnavailable` where the server is away, and `asyncio.CancelledError` never reaches
    a command in flight. `lease` and `retention` are seconds.
    """

    def __init__(
        self, url: str, *, name: str = "jobs", lease: float = 30.0, retention: float = 86_400.0, backlog: int = BACKLOG
    ) -> None:
        self._client = Valkey.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=REPLY_SECONDS)
        self.tag = f"{{yb:{name}:0}}"
        self.lease = lease
        self._lease_ms = round(lease * 1000)
        self._retention_ms = round(retention * 1000)
        self._backlog = backlog
        self._claims = 0
        self._claiming = asyncio.Lock()
        self._id = secrets.token_hex(8)
        self._admissions = Batch(self._admit, lambda pair: len(pair[1]))
        self._commits = Batch(self._commit)
        self._settlements = Batch(self._settle)

    # Verbs of the callers

    async def admit(self, kind: Kind[P], payload: P, *, delay: float = 0.0) -> tuple[str, Receipt]:
        """Take one job in. Gives its id (the caller's `job_id`, or a new one) and what became of the request."""
        stored = kind.encode(payload)
        job_id = payload.job_id or secrets.token_hex(16)
        counted = payload.key() if kind.rate else None
        rate = kind.rate
        admission = Admission(
            id=job_id,
            kind=kind.name,
            fingerprint=fingerprint(stored),
            nonce=secrets.token_urlsafe(6),
            delay=round(delay * 1000),
            max_attempts=kind.backoff.attempts,
            doubt=kind.doubt,
            bucket=_bucket(kind.name, counted) if counted is not None else None,
            limit=rate.limit if rate else 0,
            window=round(rate.window * 1000) if rate else 0,
        )
        return job_id, await self._admissions((admission, stored))

    async def requeue(self, job_ids: Sequence[str]) -> list[str]:
        """Give dead jobs a new generation: «requeued», «not_dead» or «unknown» for each."""
        return await self._named("requeue", job_ids)

    async def cancel(self, job_ids: Sequence[str]) -> list[str]:
        """End waiting jobs: «cancelled», «processing», «ended» or «unknown» for each."""
        return await self._named("cancel", job_ids)

    async def discard(self, job_ids: Sequence[str]) -> list[str]:
        """End dead jobs for good: «discarded», «not_dead» or «unknown» for each."""
        return await self._named("discard", job_ids)

    # Verbs of the workers

    async def claim(self, kinds: Sequence[str], room: int) -> tuple[list[Lease], float]:
        """Lease up to `room` jobs; also gives the seconds until the next one is due (-1: none is scheduled)."""
        async with self._claiming:
            # The same id until an answer came, so that a lost reply loses nothing: one claim at a time.
            claim_id = f"{self._id}.{self._claims}"
            claimed, payloads = await self._run(
                "claim", worker=self._id, claim=claim_id, kinds=list(kinds), room=room, lease=self._lease_ms
            )
            self._claims += 1
        leases = [
            Lease(job.id, job.kind, job.attempt, job.created, job.uncertain, job.token, payload, self.commit)
            for job, payload in zip(claimed.jobs, payloads, strict=True)
        ]
        return leases, claimed.wait / 1000 if claimed.wait >= 0 else -1.0

    async def wait(self, kinds: Sequence[str], seconds: float) -> None:
        """Block until a job of these kinds may be claimable, at most `seconds`."""
        keys = [f"{self.tag}:wake:{kind}" for kind in kinds]
        block = min(max(seconds, 0.01), LONGEST_BLOCK)  # Valkey takes 0 for «for ever»
        await self._reach(lambda: self._client.blpop(keys, timeout=block))

    async def renew(self, leases: Sequence[Lease]) -> list[str]:
        """Extend leases: «kept» or «lost» for each."""
        return await self._batched("renew", _held(leases), lease=self._lease_ms)

    async def commit(self, lease: Lease) -> None:
        """The point of no return; see `Lease.commit`."""
        if await self._commits(Held(lease.job_id, lease.token)) != "committed":
            raise LeaseLost(f"job {lease.job_id} is no longer ours; its new owner will do the work")

    async def settle(self, lease: Lease, outcome: Outcome) -> str:
        """End the attempt: «settled», «already» (told before) or «stale» (no longer ours, nothing written)."""
        retry = outcome if isinstance(outcome, Retry) else None
        return await self._settlements(
            Settlement(
                lease.job_id,
                lease.token,
                type(outcome).__name__.lower(),
                round(retry.delay * 1000) if retry else 0,
                "" if isinstance(outcome, Completed) else outcome.error,
                bool(retry and retry.uncertain),
            )
        )

    async def release(self, leases: Sequence[Lease]) -> list[str]:
        """Give back jobs that were not begun: «released» or «stale» for each."""
        return await self._batched("release", _held(leases))

    # Verbs of the recorder

    async def lead(self, seat: str, seconds: float) -> bool:
        """Take or keep the seat of the one recorder, for so long."""
        return bool(await self._call("lead", seat=seat, milliseconds=round(seconds * 1000)) == "leading")

    async def read(self, count: int, block_seconds: float) -> list[Event]:
        """The oldest events that the job log does not have; waits for one at most `block_seconds`."""
        block = round(min(max(block_seconds, 0.01), LONGEST_BLOCK) * 1000)
        reply = await self._reach(lambda: self._client.xread({f"{self.tag}:events": "0-0"}, count=count, block=block))
        entries = reply[0][1] if reply else []
        return [
            msgspec.structs.replace(event_of(entry[b"e"]), position=position.decode()) for position, entry in entries
        ]

    async def recorded(self, position: str) -> None:
        """The job log has every event up to this one."""
        await self._call("recorded", position=position, retention=self._retention_ms)

    # Looking

    async def show(self, job_id: str) -> Job | None:
        """What the queue knows of a job, or None."""
        reply = await self._reach(lambda: self._client.hmget(self._key(job_id), FIELDS))
        return job_of(job_id, reply)

    async def dead(self, count: int, before: str | None = None) -> tuple[list[Job], str | None, int]:
        """Dead jobs, newest first; also the cursor of the next page (None: no more) and how many there are.

        `before` is a cursor from an earlier page. Raises `ValueError` where it is none.
        """
        top = f"({int(before)}" if before else "+inf"
        key = f"{self.tag}:dead"
        page = await self._reach(
            lambda: self._client.zrevrangebyscore(key, top, "-inf", start=0, num=count + 1, withscores=True)
        )
        total = await self._reach(lambda: self._client.zcard(key))
        shown = page[:count]
        jobs = [await self.show(job_id.decode()) for job_id, _ in shown]
        cursor = f"{shown[-1][1]:.0f}" if len(page) > count else None
        return [job for job in jobs if job], cursor, total

    async def ping(self) -> None:
        """Returns where the queue can take a job; raises `QueueUnavailable` where it cannot."""
        await self._reach(lambda: self._client.set(f"{self.tag}:ping", "1", px=1000))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    # Inside

    def _key(self, job_id: str) -> str:
        return f"{self.tag}:job:{job_id}"

    async def _admit(self, pairs: list[tuple[Admission, bytes]]) -> list[Receipt]:
        receipts, _ = await self._run(
            "admit", [payload for _, payload in pairs], items=[item for item, _ in pairs], backlog=self._backlog
        )
        return list(receipts)

    async def _commit(self, items: list[Held]) -> list[str]:
        answers: list[str] = await self._call("commit", items=items, lease=self._lease_ms)
        return answers

    async def _settle(self, items: list[Settlement]) -> list[str]:
        answers: list[str] = await self._call("settle", items=items)
        return answers

    async def _run(self, verb: str, payloads: Sequence[bytes] = (), **args: Any) -> tuple[Any, Sequence[bytes]]:
        return await self._reach(lambda: VERBS[verb](self._client, self.tag, payloads, **args))

    async def _call(self, verb: str, **args: Any) -> Any:
        return (await self._run(verb, **args))[0]

    async def _named(self, verb: str, job_ids: Sequence[str]) -> list[str]:
        return await self._batched(verb, [Named(job_id) for job_id in job_ids])

    async def _batched(self, verb: str, items: Sequence[msgspec.Struct], **args: Any) -> list[str]:
        answers: list[str] = []
        for start in range(0, len(items), MOST_ITEMS):
            answers += await self._call(verb, items=items[start : start + MOST_ITEMS], **args)
        return answers

    async def _reach(self, command: Callable[[], Awaitable[R]]) -> R:
        task = asyncio.ensure_future(_twice(command))
        task.add_done_callback(_retrieve)
        try:
            return await asyncio.shield(task)
        except (ValkeyError, OSError) as error:
            raise QueueUnavailable(f"the queue is away or refuses ({error}); start Valkey or see its log") from error


async def _twice(command: Callable[[], Awaitable[R]]) -> R:
    """Every script answers a repeated call alike, so a connection that is found dead may be tried once more."""
    try:
        return await command()
    except ValkeyConnectionError:
        await asyncio.sleep(RECONNECT_SECONDS)
        return await command()


def _retrieve(task: asyncio.Task[R]) -> None:
    """A caller who was cancelled does not ask for the exception; without this the loop complains of it."""
    if not task.cancelled():
        task.exception()


def _held(leases: Sequence[Lease]) -> list[Held]:
    return [Held(lease.job_id, lease.token) for lease in leases]


def _bucket(kind: str, key: str) -> str:
    """The name of a rate limit's list: a hash, so that no user id stands in a key's name."""
    return hashlib.blake2b(f"{kind}\0{key}".encode(), digest_size=12).hexdigest()
