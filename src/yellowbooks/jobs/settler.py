"""What was done must be said, however long the queue is away: unsaid, it would be done again."""

import asyncio
from collections.abc import Awaitable, Callable

from yellowbooks.jobs.batch import MOST_ITEMS
from yellowbooks.jobs.lease import Lease
from yellowbooks.jobs.link import QueueUnavailable
from yellowbooks.jobs.outcome import Outcome

PAUSES = (0.1, 2.0)  # seconds: the first and the longest wait while the queue is away

GAP_SECONDS = 0.003  # what an outcome waits for others at most, where many jobs run

Done = tuple[Lease, Outcome, float]
"""A lease, how its attempt ended, and how many seconds it took."""


class Settler:
    """Says outcomes to the queue, all that come together in one call; `said` hears the answer to each.

    `running` counts the jobs whose outcomes are not said yet.
    """

    def __init__(
        self,
        settle: Callable[[list[tuple[Lease, Outcome]]], Awaitable[list[str]]],
        said: Callable[[list[Done], list[str]], None],
        running: Callable[[], int] = lambda: 0,
    ) -> None:
        self._settle = settle
        self._said = said
        self._running = running
        self._waiting: list[Done] = []
        self._task: asyncio.Task[None] | None = None

    def add(self, lease: Lease, outcome: Outcome, seconds: float) -> None:
        """Say this soon."""
        self._waiting.append((lease, outcome, seconds))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._drain())

    async def finish(self) -> None:
        """Returns when everything is said."""
        while self._task:
            await asyncio.shield(self._task)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                # Where more will end at once anyway they may share the call, and the claim that follows it.
                if 2 * len(self._waiting) < self._running():
                    await asyncio.sleep(GAP_SECONDS)
                some, self._waiting = self._waiting[:MOST_ITEMS], self._waiting[MOST_ITEMS:]
                self._said(some, await self._say(some))
        finally:
            self._task = None

    async def _say(self, done: list[Done]) -> list[str]:
        pause = PAUSES[0]
        while True:
            try:
                return await self._settle([(lease, outcome) for lease, outcome, _ in done])
            except QueueUnavailable:
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSES[1])
