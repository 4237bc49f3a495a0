"""The queue: one method a verb, each exactly one script call a hundred items."""

import asyncio
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from yellowbooks.jobs import record
from yellowbooks.jobs.batch import MOST_ITEMS, Batch, chunks
from yellowbooks.jobs.explain import Facts, explain
from yellowbooks.jobs.fitness import inspect
from yellowbooks.jobs.graves import Graves
from yellowbooks.jobs.job import Job
from yellowbooks.jobs.kind import Kind, Lane, P
from yellowbooks.jobs.lease import Lease, LeaseLost
from yellowbooks.jobs.link import Link, QueueUnavailable, patiently
from yellowbooks.jobs.outcome import ERROR_LENGTH, Outcome, printable
from yellowbooks.jobs.recording import LONGEST_BLOCK, Recording
from yellowbooks.jobs.survey import Survey
from yellowbooks.jobs.verbs import (
    Admission,
    Held,
    Named,
    Note,
    Place,
    Receipt,
    Requeue,
    Reseal,
    admission,
    body_of,
    claimable,
    edited,
    held,
    settlement,
    words_of,
)

BACKLOG = 1_000_000  # jobs of one kind that may wait
REOPENING_PACE = 20.0  # jobs a second that leave a channel whose breaker let go, until nobody waits
LOG_BACKLOG = 256 << 20  # bytes
DEAD_RETENTION = 7 * 86_400.0  # seconds

__all__ = ["Queue", "QueueUnavailable"]


class Queue(Recording, Graves):
    """The engine's one door to Valkey (or Redis >= 7).

    Every method raises `QueueUnavailable` where the server is away; one that is cancelled may have been done or not.
    `lease`, `retention` and `dead_retention` are seconds, `log_backlog` the bytes that may wait for the job log (see
    `shed`). `release` names the version of the code that runs here; it stands beside each failure. `url` may be a
    client instead; for its forms see `servers.py`. `replicas` is how many must have a promise (an admission, a commit,
    an operator's act) before it is answered. `partition` is the number of this queue where it is one of several: see
    `partitions.py`.
    """

    pace = REOPENING_PACE

    def __init__(
        self,
        url: str | Any,
        *,
        name: str = "jobs",
        lease: float = 30.0,
        retention: float = 86_400.0,
        dead_retention: float = DEAD_RETENTION,
        backlog: int = BACKLOG,
        log_backlog: int = LOG_BACKLOG,
        release: str | None = None,
        replicas: int = 0,
        partition: int = 0,
    ) -> None:
        self.tag = f"{{yb:{name}:{partition}}}"
        self.link = Link(url, self.tag, replicas)
        self.id, self._url, self._beside = secrets.token_urlsafe(6), url, list[Link]()
        self.lease, self._lease_ms = lease, round(lease * 1000)
        self._retention_ms, self._dead_retention_ms = round(retention * 1000), round(dead_retention * 1000)
        self._backlog, self._release, self._log_backlog = backlog, release, log_backlog
        self._claims, self._claiming = 0, asyncio.Lock()
        self._admissions = Batch(self._admit, lambda pair: len(pair[1]))
        self._commits = Batch(self._commit)

    # Verbs of the callers

    async def admit(
        self, kind: Kind[P], payload: P, *, delay: float = 0.0, lane: Lane | None = None, request: str | None = None,
        trace: bytes = b"",
    ) -> tuple[str, Receipt]:  # fmt: skip
        """Take one job in, to run after `delay` seconds. Gives its id (the caller's `job_id`, or a new one) and what
        became of the request, which the log finds as `request`. `trace` goes with the job: see `Lease.trace`."""
        pair = self._admission(kind, payload, delay, lane, secrets.token_bytes(6), request, trace)
        return pair[0].id, await self._admissions(pair)

    async def admit_many(
        self, kind: Kind[P], payloads: Iterable[P], *, delay: float = 0.0, lane: Lane | None = None
    ) -> list[tuple[str, Receipt]]:
        """Take many jobs in, in order and a hundred a call; what was asked before an error stays asked."""
        taken: list[tuple[str, Receipt]] = []
        asked: list[str] = []
        call: asyncio.Task[list[Receipt]] | None = None
        for some in chunks(payloads, MOST_ITEMS):
            nonce = secrets.token_bytes(6)
            pairs = [self._admission(kind, payload, delay, lane, nonce) for payload in some]
            if call:
                taken += zip(asked, await call, strict=True)
            asked = [admission.id for admission, _ in pairs]
            call = asyncio.create_task(self._admit(pairs))
            await asyncio.sleep(0)  # the call leaves while the next one is made ready
        if call:
            taken += zip(asked, await call, strict=True)
        return taken

    async def cancel(self, job_ids: Sequence[str]) -> list[str]:
        """End jobs that wait or run: «cancelled», «committed» (too late), «ended» or «unknown» for each."""
        return await self._batched("cancel", [Named(job_id) for job_id in job_ids])

    async def name(self, places: list[Place]) -> list[int]:
        """Say in which partition the jobs of these ids are; gives what was said first of each."""
        return list(await self.link.call("name", items=places))

    # Verbs of the workers

    async def claim(self, kinds: Sequence[Kind[Any] | str], room: int) -> tuple[list[Lease], float]:
        """Lease up to `room` jobs; also gives the seconds until more may be claimable (-1: not known).

        One claim at a time: its id stays the same until an answer came, so that a lost reply loses nothing.
        """
        async with self._claiming:
            claim_id = f"{self.id}{self._claims & 0xFFFFFF:06x}"
            wanted = [claimable(kind) for kind in kinds]
            (wait, at), found = await self.link.run(
                "claim", worker=self.id, claim=claim_id, kinds=wanted, room=room, lease=self._lease_ms
            )
            self._claims += 1
        return list(self._leases(claim_id, at, found)), wait / 1000 if wait >= 0 else -1.0

    async def wait(self, kinds: Sequence[str], seconds: float) -> bytes | None:
        """Block until a job of these kinds may be claimable, at most `seconds`. Gives the key that held the token."""
        keys = [f"{self.tag}:wake:{kind}" for kind in kinds]
        block = min(max(seconds, 0.01), LONGEST_BLOCK)  # Valkey takes 0 for «for ever»
        found = await self.link.execute("BLPOP", *keys, block)
        return found[0] if found else None

    async def renew(
        self, leases: Sequence[Lease], *, worker: str = "", kinds: Sequence[Kind[Any]] = (), about: str | None = None,
        idle: float = 0.0, capacity: int = 0,
    ) -> list[str]:  # fmt: skip
        """Extend leases: «kept» or «lost» for each.

        With `about` (host and process) the worker is registered too; `idle` is the seconds since it last claimed,
        `capacity` how many jobs it runs at once.
        """
        known = [claimable(kind) for kind in kinds]
        more = {
            "lease": self._lease_ms, "worker": worker, "kinds": known, "about": about, "idle": round(idle * 1000),
            "capacity": capacity,
        }  # fmt: skip
        return await self._batched("renew", held(leases), always=about is not None, **more)

    async def leave(self, worker: str) -> None:
        """Say that a worker ends."""
        await self.link.call("leave", worker=worker)

    async def commit(self, lease: Lease) -> None:
        """The point of no return; see `Lease.commit`. A short absence of the server, a failover, spends no attempt."""
        held = Held(lease.job_id, lease.token)
        answer = await patiently(lambda: self._commits(held), self.lease / 3)
        if answer != "committed":
            raise LeaseLost(f"job {lease.job_id} is no longer ours; its new owner will do the work")

    async def note(self, lease: Lease, text: str | None, progress: float | None) -> None:
        """A line of the job's history; see `Lease.log` and `Lease.progress`."""
        said = printable(text)[:ERROR_LENGTH] if text is not None else None
        answers = await self._batched("note", [Note(lease.job_id, lease.token, said, progress)])
        if answers != ["noted"]:
            raise LeaseLost(f"job {lease.job_id} is no longer ours; its new owner will do the work")

    async def settle(self, lease: Lease, outcome: Outcome) -> str:
        """End one attempt: «settled», «already» (told before) or «stale» (no longer ours, nothing written)."""
        return (await self.settle_many([(lease, outcome)]))[0]

    async def settle_many(
        self, settlements: Sequence[tuple[Lease, Outcome]], kinds: Sequence[Kind[Any]] = ()
    ) -> list[str]:
        """End attempts, as `settle`. `kinds` are those of the worker, whose channels a settlement may open or hold."""
        known = {kind.name: kind for kind in kinds}
        channels = {kind.name: kind.channel for kind in kinds if kind.channel != kind.name}
        answers: list[str] = []
        for some in chunks(settlements, MOST_ITEMS):
            answers += await self.link.call(
                "settle",
                ids=[lease.job_id for lease, _ in some],
                tokens=[lease.token for lease, _ in some],
                others=[settlement(lease, outcome, known.get(lease.kind)) for lease, outcome in some],
                words=words_of([outcome for _, outcome in some]),
                channels=channels,
                pace=self.pace,
                release=self._release,
            )
        return answers

    async def release(self, leases: Sequence[Lease]) -> list[str]:
        """Give back jobs that were not begun: «released» or «stale» for each."""
        return await self._batched("release", held(leases))

    # Verbs of the operators

    async def requeue(self, job_ids: Sequence[str], *, pace: float | None = None, by: str | None = None) -> list[str]:
        """Give dead jobs a new generation: «requeued», «not_dead» or «unknown» for each.

        With `pace` they may run one after another, so many a second; `by` is kept in their history.
        """
        delays = [(round(n * 1000 / pace) or None) if pace else None for n in range(len(job_ids))]
        return await self._batched("requeue", [Requeue(*pair, by) for pair in zip(job_ids, delays, strict=True)])

    async def discard(self, job_ids: Sequence[str]) -> list[str]:
        """End dead jobs for good: «discarded», «not_dead» or «unknown» for each."""
        return await self._batched("discard", [Named(job_id) for job_id in job_ids])

    async def edit(self, kind: Kind[P], job_id: str, payload: P, *, by: str | None = None) -> str:
        """Give a dead job another payload, to be requeued: «edited», «not_dead» or «unknown»."""
        body = body_of(kind, payload, None, b"")
        answers, _ = await self.link.run("edit", [body], items=[edited(kind, payload, job_id, by)])
        return str(answers[0])

    async def reseal(self, payloads: Sequence[tuple[str, bytes, bytes]]) -> list[str]:
        """Put payloads that were sealed anew (id, before, after) in the place of the same: «resealed» or «changed»."""
        items = [Reseal(job_id, len(before)) for job_id, before, _ in payloads]
        pairs = [one for _, *pair in payloads for one in pair]
        return list((await self.link.run("reseal", pairs, items=items))[0])

    async def shred(self, job_ids: Sequence[str], accounts: Sequence[str] = ()) -> list[str]:
        """What ended jobs and accounts say of a person goes: «shredded», «not_ended» or «unknown» for each job."""
        items = [Named(job_id) for job_id in job_ids]
        return await self._batched("shred", items, always=bool(accounts), accounts=list(accounts))

    async def hold(self, channel: str, *, by: str, reason: str) -> None:
        """Stop a kind or a channel: its jobs wait and spend no attempt."""
        await self.link.call("hold", channel=channel, by=by, reason=printable(reason)[:ERROR_LENGTH])

    async def unhold(self, channel: str, *, pace: float = 0.0, kinds: Sequence[str] = ()) -> str:
        """Let a kind or a channel go on, at `pace` jobs a second (0: at once): «open» or «not_held».

        `kinds` are those whose idle workers are to be woken.
        """
        return str(await self.link.call("unhold", channel=channel, pace=pace, kinds=list(kinds) or [channel]))

    async def lock(self, name: str, holder: str, seconds: float) -> int:
        """Take or keep a named lock: its fencing token (growing with each new holder), or 0: another has it.

        Hand the token to whatever the lock guards, and let that refuse a smaller one than it has seen.
        """
        return int(await self.link.call("lock", name=name, holder=holder, milliseconds=round(seconds * 1000)))

    async def unlock(self, name: str, holder: str) -> str:
        """Give a lock back: «unlocked» or «lost»."""
        return str(await self.link.call("unlock", name=name, holder=holder))

    async def fire(self, name: str, at: int) -> tuple[int, int]:
        """Up to when (ms) the firings of a schedule were admitted, moved on to `at`; and the queue's time."""
        last, now = await self.link.call("fire", name=name, at=at)
        return last, now

    # Looking

    async def show(self, job_id: str) -> Job | None:
        """What the queue knows of a job, or None."""
        return (await self.shown([job_id]))[0]

    async def stored(self, job_ids: Sequence[str]) -> list[tuple[str, bytes] | None]:
        """The kind and the stored payload of each job; None where it is unknown or ended, and so has none."""
        keys = [f"{self.tag}:job:{job_id}" for job_id in job_ids]
        found = await self.link.reach(lambda: self.link.client.mget(keys)) if keys else []
        return [record.stored_of(raw or b"") for raw in found]

    async def explain(self, job_id: str) -> str:
        """One sentence on why a job is where it is, and what happens next."""
        return explain(await self.show(job_id), await self.look(job_id))

    async def look(self, job_id: str) -> Facts:
        """What stands around a job."""
        facts: Facts = await self.link.call("look", id=job_id)
        return facts

    async def survey(self, named: int = 0) -> Survey:
        """How many jobs stand where, how old the oldest is, and who works; at most `named` of what runs by name."""
        survey: Survey = await self.link.call("survey", named=named)
        return survey

    async def ping(self) -> list[str]:
        """Returns where the queue can take a job, with what an operator should know of its server.

        Raises `QueueUnavailable` where it cannot, and `Unfit` where the server would lose jobs.
        """
        await self.link.reach(lambda: self.link.client.set(f"{self.tag}:ping", "1", px=1000))
        return await inspect(self.link)

    def beside(self, tag: str) -> Link:
        """A way to keys of one's own under a tag, on the same servers; closed with the queue."""
        self._beside.append(Link(self._url, tag))
        return self._beside[-1]

    async def close(self) -> None:
        """Close the connections."""
        for link in (self.link, *self._beside):
            await link.close()

    # Inside

    def new_id(self) -> str:
        """An id that no job has."""
        return secrets.token_hex(10)

    def _admission(
        self, kind: Kind[P], payload: P, delay: float, lane: Lane | None, nonce: bytes, request: str | None = None,
        trace: bytes = b"",
    ) -> tuple[Admission, bytes]:  # fmt: skip
        wanted = admission(kind, payload, payload.job_id or self.new_id(), delay, request)
        # An id that was made here comes again only as the same request told twice; nothing need tell the two apart.
        return wanted, body_of(kind, payload, lane, (nonce if payload.job_id else b"") + trace)

    def _leases(self, claim_id: str, at: int, found: Sequence[bytes]) -> Iterable[Lease]:
        """A record that still says «enqueued» is as it was before this claim; else an earlier call claimed it."""
        for n in range(0, len(found), 2):
            if (job := record.claimed(found[n + 1])) is None:
                continue
            before, attempts, uncertain, created, started, token, kind, payload, trace = job
            if before:
                token, attempts, started = f"{claim_id}{n // 2:02d}", attempts + 1, at
            yield Lease(found[n].decode(), kind, attempts, created, started, uncertain, token, payload, self, trace)

    async def _admit(self, pairs: Sequence[tuple[Admission, bytes]]) -> list[Receipt]:
        bodies = [body for _, body in pairs]
        receipts, _ = await self.link.run("admit", bodies, items=[item for item, _ in pairs], backlog=self._backlog)
        return list(receipts)

    async def _commit(self, items: list[Held]) -> list[str]:
        return list(await self.link.call("commit", items=items, lease=self._lease_ms))

    async def _batched(
        self, verb: str, items: Sequence[msgspec.Struct], *, always: bool = False, **args: Any
    ) -> list[str]:
        answers: list[str] = []
        for some in chunks(items, MOST_ITEMS) if items or not always else [[]]:
            answers += await self.link.call(verb, items=some, **args)
        return answers
