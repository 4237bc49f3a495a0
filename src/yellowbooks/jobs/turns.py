"""How a worker takes from all partitions: each is first in its turn, and none waits for one that is away."""

import asyncio
from collections.abc import Sequence
from typing import Any

from yellowbooks.jobs.fitness import Unfit
from yellowbooks.jobs.kind import Kind
from yellowbooks.jobs.lease import Lease
from yellowbooks.jobs.link import QueueUnavailable
from yellowbooks.jobs.queue import Queue

CLAIM_SECONDS = 2.0  # a partition that is silent for longer is passed over
BLOCK_SECONDS = 1.0
PAUSES = (0.1, 2.0)  # seconds: the first and the longest between looks whether a partition is back


class Turns:
    """Claims from several queues as from one."""

    def __init__(self, parts: Sequence[Queue]) -> None:
        self._parts = parts
        self._turn = 0
        self._away: dict[Queue, asyncio.Task[None]] = {}
        self._waiters: dict[Queue, asyncio.Task[None]] = {}
        self._woken: bytes | None = None
        self._wakes = asyncio.Event()
        self._idle = False

    async def claim(self, kinds: Sequence[Kind[Any] | str], room: int) -> tuple[list[Lease], float]:
        """Up to `room` leases, and the seconds until more may be claimable (-1: not known).

        A claim that was given up keeps its id, so that the jobs of a lost reply come with the next one. Raises
        `QueueUnavailable` where every partition is away.
        """
        self._turn = (self._turn + 1) % len(self._parts)
        leases: list[Lease] = []
        waits: list[float] = []
        error: Exception = QueueUnavailable("every partition of the queue is away; start Valkey or see its log")
        for part in (*self._parts[self._turn :], *self._parts[: self._turn]):
            if part in self._away:
                continue
            if len(leases) >= room:
                break
            try:
                found, wait = await asyncio.wait_for(part.claim(kinds, room - len(leases)), CLAIM_SECONDS)
            except (QueueUnavailable, TimeoutError) as failure:
                error = failure if isinstance(failure, QueueUnavailable) else error
                self._pass_over(part)
                continue
            leases += found
            waits.append(wait)
        if not waits:
            raise error
        return leases, min((wait for wait in waits if wait >= 0), default=-1.0)

    async def wait(self, kinds: Sequence[str], seconds: float) -> bytes | None:
        """As `Queue.wait`: one waiter a partition, as no command may block in two slots.

        Those that were not woken stay, for the next time; where one of them is woken while nobody waits here, it puts
        the token back for another worker.
        """
        for part in self._parts:
            if part not in self._waiters and part not in self._away:
                self._waiters[part] = asyncio.create_task(self._watch(part, kinds))
        self._woken = None
        self._wakes.clear()
        self._idle = True
        try:
            await asyncio.wait_for(self._wakes.wait(), seconds)
        except TimeoutError:
            return None
        finally:
            self._idle = False
        return self._woken

    async def close(self) -> None:
        """End what waits."""
        tasks = [*self._away.values(), *self._waiters.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, part: Queue, kinds: Sequence[str]) -> None:
        try:
            key = await part.wait(kinds, BLOCK_SECONDS)
            if key and self._idle:
                self._woken = key
                self._wakes.set()
            elif key:
                await part.link.execute("LPUSH", key, "1")
        except QueueUnavailable:
            self._pass_over(part)
        finally:
            del self._waiters[part]

    def _pass_over(self, part: Queue) -> None:
        if part not in self._away:
            self._away[part] = asyncio.create_task(self._until_back(part))

    async def _until_back(self, part: Queue) -> None:
        pause = PAUSES[0]
        try:
            while True:
                await part.link.forget()  # where it was silent, each of them would be silent again
                await asyncio.sleep(pause)
                try:
                    await asyncio.wait_for(part.ping(), CLAIM_SECONDS)
                    return
                except Unfit:
                    return  # it answers; what is wrong with it is told elsewhere
                except (QueueUnavailable, TimeoutError):
                    pause = min(pause * 2, PAUSES[1])
        finally:
            del self._away[part]
