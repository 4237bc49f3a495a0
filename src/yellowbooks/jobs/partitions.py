"""A queue in several partitions, so that the nodes of a cluster share its load: the same methods, over one queue each.

A job is in the partition of its key's hash (the user's), or of its id's where it has no key: so all that goes by key,
the rate, order, exclusiveness, unique windows, is in one. An id that is made here is made so that its own hash leads to
the same partition. An id that a caller gave is first noted in the partition of its hash, with where its job is: whoever
comes with the same id for another user is told that it came before, and whoever looks for the job finds it.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from zlib import crc32

from yellowbooks.jobs.agree import WrongPartitions, agree
from yellowbooks.jobs.batch import MOST_ITEMS, Batch, chunks
from yellowbooks.jobs.events import Event
from yellowbooks.jobs.explain import Facts
from yellowbooks.jobs.graves import dead_of_all
from yellowbooks.jobs.graves import together as groups_together
from yellowbooks.jobs.job import Job
from yellowbooks.jobs.kind import Kind, Lane, P, Rate
from yellowbooks.jobs.lease import Lease
from yellowbooks.jobs.link import Link
from yellowbooks.jobs.outcome import Outcome
from yellowbooks.jobs.queue import BACKLOG, REOPENING_PACE, Queue, QueueUnavailable
from yellowbooks.jobs.survey import Survey, together
from yellowbooks.jobs.turns import Turns
from yellowbooks.jobs.verbs import Group, Place, Receipt

MOST = 64  # partitions; each worker has its id and one letter of this many in each
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

I = TypeVar("I")  # noqa: E741  an item
R = TypeVar("R")


def home_of(text: str | bytes, count: int) -> int:
    """Which of so many partitions an id or an account belongs to; the same for ever."""
    return crc32(text.encode() if isinstance(text, str) else text) % count


class Part(Queue):
    """One of `count` partitions: its ids lead to it, and it has its share of what all may do together."""

    def __init__(self, url: str, number: int, count: int, worker: str, backlog: int, **options: Any) -> None:
        super().__init__(url, partition=number, backlog=max(1, backlog // count), **options)
        self.id = worker + LETTERS[number]
        self.number, self._count, self.pace = number, count, REOPENING_PACE / count
        self._shares: dict[str, Kind[Any]] = {}

    def new_id(self) -> str:
        while True:
            start = secrets.token_hex(9)
            for end in range(256):
                if home_of(job_id := f"{start}{end:02x}", self._count) == self.number:
                    return job_id

    async def claim(self, kinds: Sequence[Kind[Any] | str], room: int) -> tuple[list[Lease], float]:
        """As `Queue.claim`, with this partition's share of each quota."""
        return await super().claim([kind if isinstance(kind, str) else self._share(kind) for kind in kinds], room)

    def _share(self, kind: Kind[Any]) -> Kind[Any]:
        if kind.quota is None:
            return kind
        if kind.name not in self._shares:
            limit = max(1, kind.quota.limit // self._count)
            window = kind.quota.window * limit * self._count / kind.quota.limit
            self._shares[kind.name] = replace(kind, quota=Rate(limit, window))
        return self._shares[kind.name]


class Partitions(Queue):
    """`count` partitions (2 to 64) of one queue. The number is for the life of a queue: see `agree`.

    `read` and `recorded` are those of each of `parts`: every partition has a stream of its own. While a partition's
    server is away the others go on: what concerns it raises `QueueUnavailable`, claims pass it over, and the renewal
    of its leases answers «away».
    """

    def __init__(self, url: str, count: int, *, backlog: int = BACKLOG, **options: Any) -> None:
        if not 2 <= count <= MOST:
            raise ValueError(f"{count} is no number of partitions; have 2 to {MOST}, or a `Queue`, which is one")
        self.id = secrets.token_urlsafe(6)[:7]
        self.parts = tuple(Part(url, number, count, self.id, backlog, **options) for number in range(count))
        self.lease = self.parts[0].lease
        self._of_tag = {part.tag: part for part in self.parts}
        self._turns = Turns(self.parts)
        self._names = [Batch(part.name) for part in self.parts]
        for part in self.parts:
            part.link.before = self.agree

    async def agree(self) -> None:
        """Raises `WrongPartitions` where the queue has another number of them."""
        await agree(self.parts[0], len(self.parts))
        for part in self.parts:
            part.link.before = None

    # Verbs of the callers

    async def admit(
        self, kind: Kind[P], payload: P, *, delay: float = 0.0, lane: Lane | None = None, request: str | None = None,
        trace: bytes = b"",
    ) -> tuple[str, Receipt]:  # fmt: skip
        part = self._part_for(kind, payload)
        first = await self._first(payload.job_id, part)
        if payload.job_id is not None and first is not part:
            return payload.job_id, await _seen(first, payload.job_id)
        return await part.admit(kind, payload, delay=delay, lane=lane, request=request, trace=trace)

    async def admit_many(
        self, kind: Kind[P], payloads: Iterable[P], *, delay: float = 0.0, lane: Lane | None = None
    ) -> list[tuple[str, Receipt]]:
        """As `Queue.admit_many`; in order within each partition, and so of each key."""

        async def of_one(part: Part, pairs: list[tuple[P, Part]]) -> list[tuple[str, Receipt]]:
            ours = [payload for payload, own in pairs if own is part]
            taken = iter(await part.admit_many(kind, ours, delay=delay, lane=lane))
            return [
                next(taken) if own is part else (payload.job_id or "", await _seen(part, payload.job_id or ""))
                for payload, own in pairs
            ]

        receipts: list[tuple[str, Receipt]] = []
        for some in chunks(payloads, MOST_ITEMS * len(self.parts)):
            pairs = [(payload, self._part_for(kind, payload)) for payload in some]
            firsts = [part for _, part in pairs]
            given = [n for n, (payload, _) in enumerate(pairs) if payload.job_id is not None]
            named = await asyncio.gather(*(self._first(pairs[n][0].job_id, firsts[n]) for n in given))
            for n, first in zip(given, named, strict=True):
                firsts[n] = first
            receipts += await _by_part(pairs, firsts, of_one)
        return receipts

    async def cancel(self, job_ids: Sequence[str]) -> list[str]:
        return await self._wherever(job_ids, lambda part, ids: part.cancel(ids), "unknown")

    # Verbs of the workers

    async def claim(self, kinds: Sequence[Kind[Any] | str], room: int) -> tuple[list[Lease], float]:
        """As `Queue.claim`, from one partition after the other, each in its turn the first."""
        return await self._turns.claim(kinds, room)

    async def wait(self, kinds: Sequence[str], seconds: float) -> bytes | None:
        return await self._turns.wait(kinds, seconds)

    async def renew(
        self, leases: Sequence[Lease], *, worker: str = "", kinds: Sequence[Kind[Any]] = (), about: str | None = None,
        **said_of_it: Any,
    ) -> list[str]:  # fmt: skip
        """As `Queue.renew`; «away» for a lease whose partition is. Raises where all are."""
        away: list[QueueUnavailable] = []

        async def of_one(part: Part) -> dict[str, str]:
            ours = [lease for lease in leases if self._part_of(lease) is part]
            letter = LETTERS[part.number]
            try:
                answers = await part.renew(ours, worker=worker + letter, kinds=kinds, about=about, **said_of_it)
            except QueueUnavailable as error:
                away.append(error)
                answers = ["away"] * len(ours)
            return dict(zip((lease.token for lease in ours), answers, strict=True))

        said: dict[str, str] = {}
        for answers in await asyncio.gather(*(of_one(part) for part in self.parts)):
            said |= answers
        if len(away) == len(self.parts):
            raise away[0]
        return [said[lease.token] for lease in leases]

    async def leave(self, worker: str) -> None:
        await self._all(lambda part: part.leave(worker + LETTERS[part.number]))

    async def commit(self, lease: Lease) -> None:
        await self._part_of(lease).commit(lease)

    async def note(self, lease: Lease, text: str | None, progress: float | None) -> None:
        await self._part_of(lease).note(lease, text, progress)

    async def settle_many(
        self, settlements: Sequence[tuple[Lease, Outcome]], kinds: Sequence[Kind[Any]] = ()
    ) -> list[str]:
        places = [self._part_of(lease) for lease, _ in settlements]
        return await _by_part(settlements, places, lambda part, some: part.settle_many(some, kinds))

    async def release(self, leases: Sequence[Lease]) -> list[str]:
        return await _by_part(leases, [self._part_of(lease) for lease in leases], lambda part, some: part.release(some))

    # Verbs of the operators

    async def requeue(self, job_ids: Sequence[str], *, pace: float | None = None, by: str | None = None) -> list[str]:
        each = pace / len(self.parts) if pace else None
        return await self._wherever(job_ids, lambda part, ids: part.requeue(ids, pace=each, by=by), "unknown")

    async def discard(self, job_ids: Sequence[str]) -> list[str]:
        return await self._wherever(job_ids, lambda part, ids: part.discard(ids), "unknown")

    async def edit(self, kind: Kind[P], job_id: str, payload: P, *, by: str | None = None) -> str:
        async def of_one(part: Part, ids: list[str]) -> list[str]:
            return [await part.edit(kind, one, payload, by=by) for one in ids]

        return (await self._wherever([job_id], of_one, "unknown"))[0]

    async def reseal(self, payloads: Sequence[tuple[str, bytes, bytes]]) -> list[str]:
        each = [await part.reseal(payloads) for part in self.parts]
        return ["resealed" if "resealed" in answers else "changed" for answers in zip(*each, strict=True)]

    async def shred(self, job_ids: Sequence[str], accounts: Sequence[str] = ()) -> list[str]:
        await self._all(lambda part: part.shred([], accounts))
        return await self._wherever(job_ids, lambda part, ids: part.shred(ids), "unknown")

    async def hold(self, channel: str, *, by: str, reason: str) -> None:
        await self._all(lambda part: part.hold(channel, by=by, reason=reason))

    async def unhold(self, channel: str, *, pace: float = 0.0, kinds: Sequence[str] = ()) -> str:
        each = pace / len(self.parts)
        answers = await self._all(lambda part: part.unhold(channel, pace=each, kinds=kinds))
        return "open" if "open" in answers else "not_held"

    async def lock(self, name: str, holder: str, seconds: float) -> int:
        return await self._home(name).lock(name, holder, seconds)

    async def unlock(self, name: str, holder: str) -> str:
        return await self._home(name).unlock(name, holder)

    async def fire(self, name: str, at: int) -> tuple[int, int]:
        return await self._home(name).fire(name, at)

    # Verbs of the recorder

    async def read(self, *_: Any, **__: Any) -> list[Event]:
        """Raises `TypeError`: read each of `parts`."""
        raise TypeError("each partition has a stream of its own; read those of `parts`, one recorder each")

    async def recorded(self, *_: Any) -> int:
        """Raises `TypeError`: say it to the one of `parts` that was read."""
        raise TypeError("each partition has a stream of its own; say it to the one of `parts` that was read")

    async def follow(self) -> AsyncIterator[Event]:
        """As `Queue.follow`; the events of different partitions may come out of their order."""
        events: asyncio.Queue[Event | QueueUnavailable] = asyncio.Queue(MOST_ITEMS)

        async def of_one(part: Part) -> None:
            try:
                async for event in part.follow():
                    await events.put(event)
            except QueueUnavailable as error:
                await events.put(error)

        tasks = [asyncio.create_task(of_one(part)) for part in self.parts]
        try:
            while True:
                event = await events.get()
                if isinstance(event, QueueUnavailable):
                    raise event
                yield event
        finally:
            for task in tasks:
                task.cancel()

    # Looking

    async def dead(self, count: int, before: str | None = None) -> tuple[list[Job], str | None, int]:
        """As `Queue.dead`; a page has all that died in the millisecond of its last, and so may be longer."""
        return await dead_of_all(self.parts, await self._all(lambda part: part.dead(count, before)), count)

    async def buried(self, *_: Any, **__: Any) -> list[tuple[int, str]]:
        """Raises `TypeError`: look at each of `parts`."""
        raise TypeError("each partition has places of its own; look at those of `parts`")

    async def group(self, above: int | None = None, below: int | None = None) -> list[Group]:
        return groups_together(await self._all(lambda part: part.group(above, below)))

    async def shown(self, job_ids: Sequence[str]) -> list[Job | None]:
        return await self._wherever(job_ids, lambda part, ids: part.shown(ids), None)

    async def stored(self, job_ids: Sequence[str]) -> list[tuple[str, bytes] | None]:
        return await self._wherever(job_ids, lambda part, ids: part.stored(ids), None)

    async def explain(self, job_id: str) -> str:
        return await (await self._owner(job_id)).explain(job_id)

    async def look(self, job_id: str) -> Facts:
        return await (await self._owner(job_id)).look(job_id)

    async def survey(self, named: int = 0) -> Survey:
        return together(await self._all(lambda part: part.survey(named)))

    async def ping(self) -> list[str]:
        """Returns where one partition at least can take a job. Raises as `Queue.ping`."""
        answers = await asyncio.gather(*(part.ping() for part in self.parts), return_exceptions=True)
        errors = [answer for answer in answers if isinstance(answer, BaseException)]
        unfit = [error for error in errors if not isinstance(error, QueueUnavailable)]
        if unfit or len(errors) == len(self.parts) or any(isinstance(error, WrongPartitions) for error in errors):
            raise (unfit + errors)[0]
        return list(dict.fromkeys(line for lines in answers if not isinstance(lines, BaseException) for line in lines))

    def beside(self, tag: str) -> Link:
        return self.parts[0].beside(tag)

    async def close(self) -> None:
        await self._turns.close()
        await self._all(lambda part: part.close())

    # Inside

    def _home(self, text: str | bytes) -> Part:
        return self.parts[home_of(text, len(self.parts))]

    def _part_for(self, kind: Kind[P], payload: P) -> Part:
        key = payload.key()
        if key is not None:
            return self._home(kind.account(key))
        return self._home(payload.job_id) if payload.job_id is not None else secrets.choice(self.parts)

    def _part_of(self, lease: Lease) -> Part:
        return self._of_tag[getattr(lease.holder, "tag")]  # noqa: B009  a lease's holder is a queue

    async def _first(self, job_id: str | None, part: Part) -> Part:
        """Where the job of this id is: here, unless the id came before for a key of another partition."""
        if job_id is None:
            return part
        home = self._home(job_id)
        return self.parts[await self._names[home.number](Place(job_id, part.number))]

    async def _guess(self, job_ids: Sequence[str]) -> list[Part]:
        async def of_one(part: Part, ids: list[str]) -> list[bytes | None]:
            keys = [f"{part.tag}:named:{job_id}" for job_id in ids]
            return list(await part.link.reach(lambda: part.link.client.mget(keys)))

        homes = [self._home(job_id) for job_id in job_ids]
        named = await _by_part(job_ids, homes, of_one)
        return [home if name is None else self.parts[int(name)] for home, name in zip(homes, named, strict=True)]

    async def _wherever(
        self, job_ids: Sequence[str], ask: Callable[[Part, list[str]], Awaitable[list[R]]], missing: R
    ) -> list[R]:
        """Ask where each job should be; and everybody about one that is not there, as what was noted of its id ends."""
        places = await self._guess(job_ids)
        answers = await _by_part(job_ids, places, ask)
        for n, answer in enumerate(answers):
            if answer == missing:
                others = [part for part in self.parts if part is not places[n]]
                found = await asyncio.gather(*(ask(part, [job_ids[n]]) for part in others))
                answers[n] = next((one for [one] in found if one != missing), missing)
        return answers

    async def _owner(self, job_id: str) -> Part:
        async def of_one(part: Part, ids: list[str]) -> list[Part | None]:
            return [part if job else None for job in await part.shown(ids)]

        return (await self._wherever([job_id], of_one, None))[0] or self._home(job_id)

    async def _all(self, ask: Callable[[Part], Awaitable[R]]) -> list[R]:
        return list(await asyncio.gather(*(ask(part) for part in self.parts)))


async def _by_part(
    items: Sequence[I], parts: Sequence[Part], ask: Callable[[Part, list[I]], Awaitable[list[R]]]
) -> list[R]:
    """Ask each partition about its items, all at once; the answers in the order of the items.

    Raises what a partition raised, when all have answered.
    """
    groups: dict[Part, list[int]] = {}
    for n, part in enumerate(parts):
        groups.setdefault(part, []).append(n)
    asked = [ask(part, [items[n] for n in numbers]) for part, numbers in groups.items()]
    answers: dict[int, R] = {}
    errors = []
    for numbers, said in zip(groups.values(), await asyncio.gather(*asked, return_exceptions=True), strict=True):
        if isinstance(said, BaseException):
            errors.append(said)
        else:
            answers |= zip(numbers, said, strict=True)
    if errors:
        raise errors[0]
    return [answers[n] for n in range(len(items))]


async def _seen(part: Part, job_id: str) -> Receipt:
    job = await part.show(job_id)
    return Receipt("seen", job.state if job else None, same=False)


def parts_of(queue: Queue) -> tuple[Queue, ...]:
    """The partitions of a queue; a plain queue is its own only one."""
    return queue.parts if isinstance(queue, Partitions) else (queue,)
