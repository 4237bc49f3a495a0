"""His jobs in the queue."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from yellowbooks.jobs import Kind, Payload, Queue, accounts_about, accounts_of, find_about
from yellowbooks.privacy.person import Found, NotYet, Person, job_item
from yellowbooks.views import time as shown_time

AGAIN_SECONDS = 0.2
AT_ONCE = 100


Spare = Callable[[Payload, Person], Awaitable[Payload | None]]
"""What a job is to carry instead, where it is about others too; None where it is his alone, and goes."""


class QueuedJobs:
    """Jobs that wait, run or are dead, with their payloads, and those that ended and are kept for a while.

    `patience` (s) is how long `erase` waits for jobs that are past their point of no return.
    """

    name = "queue"
    kept = ""

    def __init__(
        self, queue: Queue, kinds: Sequence[Kind[Any]], spare: Spare, where: str, patience: float
    ) -> None:  # fmt: skip
        self._queue = queue
        self._spare = spare
        self._spared: set[str] = set()
        self._kinds = kinds
        self.where = where
        self._patience = patience

    async def find(self, person: Person) -> Found:
        """Each job with its payload and history. Raises `QueueUnavailable`."""
        about = await find_about(self._queue, self._kinds, person.wanted)
        found = Found(gaps=[f"job {job_id}: {why}" for job_id, why in sorted(about.unread.items())])
        for job_id, payload in sorted(about.jobs.items()):
            self._learn(person, job_id, payload)
            job = await self._queue.show(job_id)
            if job:
                carried = None if payload is None else msgspec.to_builtins(payload)
                found.items.append(job_item(job) | {"payload": carried})
        for kind, times in (await accounts_about(self._queue, self._kinds, person.wanted)).items():
            found.items.append({"account": kind, "admissions": [shown_time(at) for at in times]})
        return found

    async def erase(self, person: Person) -> int:
        """Cancel what waits and runs, discard what is dead, shred what ended, and his accounts.

        A job that is past its point of no return is waited for: its mail may be leaving. Raises `NotYet`.
        """
        count, until = 0, time.monotonic() + self._patience
        while True:
            ids = await self._ids(person)
            running = await self._end(ids)
            await self._queue.shred([], accounts_of(self._kinds, person.wanted))
            answers = [one for some in _some(ids) for one in await self._queue.shred(some)]
            count += answers.count("shredded")
            if not running and "not_ended" not in answers:
                return count
            if time.monotonic() > until:
                raise NotYet(
                    f"{len(running) or answers.count('not_ended')} jobs still run past their point of no return, such "
                    f"as {(running or ids)[0]}; run it again when they ended"
                )
            await asyncio.sleep(AGAIN_SECONDS)

    async def _ids(self, person: Person) -> list[str]:
        """Those that the walk finds, and those that were known before: the log may know more than the queue."""
        about = await find_about(self._queue, self._kinds, person.wanted, sorted(person.job_ids))
        for job_id, payload in about.jobs.items():
            other = await self._spare(payload, person) if payload else None
            if other is None:
                self._learn(person, job_id, payload)
            elif await self._put(job_id, other):
                self._spared.add(job_id)
        return sorted(person.job_ids - self._spared)

    async def _put(self, job_id: str, payload: Payload) -> bool:
        """Give a job another payload, in whatever state it is; False where it changed meanwhile."""
        [stored] = await self._queue.stored([job_id])
        if stored is None:
            return False
        kind = next(one for one in self._kinds if one.name == stored[0])
        return await self._queue.reseal([(job_id, stored[1], kind.encode(payload))]) == ["resealed"]

    async def _end(self, ids: Sequence[str]) -> list[str]:
        """End what is not at its end; those that are too far for that."""
        committed: list[str] = []
        for some in _some(ids):
            answers = await self._queue.cancel(some)
            committed += [one for one, answer in zip(some, answers, strict=True) if answer == "committed"]
            ended = [one for one, answer in zip(some, answers, strict=True) if answer == "ended"]
            await self._queue.discard(ended)
        return committed

    @staticmethod
    def _learn(person: Person, job_id: str, payload: Payload | None) -> None:
        person.job_ids.add(job_id)
        about = payload.about() if payload else {}
        if person.user is not None and about.get("user") == person.user and "address" in about:
            person.addresses.add(about["address"])


def _some(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[n : n + AT_ONCE] for n in range(0, len(ids), AT_ONCE)]
