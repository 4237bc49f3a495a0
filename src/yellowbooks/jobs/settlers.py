"""A settler a partition: while one partition is away, what was done in the others is said."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from yellowbooks.jobs.lease import Holder, Lease
from yellowbooks.jobs.outcome import Outcome
from yellowbooks.jobs.settler import Done, Settler


class Settlers(Settler):
    """As one `Settler`; each partition's is made when it has something to say."""

    def __init__(
        self,
        settle: Callable[[list[tuple[Lease, Outcome]]], Awaitable[list[str]]],
        said: Callable[[list[Done], list[str]], None],
        running: Callable[[], int] = lambda: 0,
    ) -> None:
        self._make = partial(Settler, settle, said, running)
        self._each: dict[Holder, Settler] = {}

    def add(self, lease: Lease, outcome: Outcome, seconds: float) -> None:
        """Say this soon."""
        if lease.holder not in self._each:
            self._each[lease.holder] = self._make()
        self._each[lease.holder].add(lease, outcome, seconds)

    async def finish(self) -> None:
        """Returns when everything is said."""
        await asyncio.gather(*(settler.finish() for settler in self._each.values()))
