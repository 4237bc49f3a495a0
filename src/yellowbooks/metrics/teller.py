"""Counts each event once: where the recorder reads it, or, while the job log is away, by reading ahead of it."""

import asyncio
import time
from collections.abc import Callable, Sequence

from yellowbooks.jobs import Event, Queue, QueueUnavailable
from yellowbooks.metrics.fold import Fold, Moments
from yellowbooks.metrics.store import Store

LOOK_SECONDS = 1.0
AHEAD_SECONDS = 2.0  # for how long nobody brought events before the teller looks for some itself
BLOCK_SECONDS = 0.01
ENTRIES = 100
MOST_LOOKED = 100  # records that are read for one batch; where more are not remembered, times are a sample


def _place(position: str) -> tuple[int, int]:
    at, _, seq = position.partition("-")
    return int(at or 0), int(seq or 0)


class Teller:
    """Adds one partition's events to its counts, each once, however often and by however many it is brought.

    `doubtful`: see `Fold`. `on_trouble` hears once of what keeps events from being counted.
    """

    def __init__(self, part: Queue, doubtful: Callable[[Event], bool], on_trouble: Callable[[str], None]) -> None:
        self._part = part
        self._store = Store(part)
        self._fold = Fold(doubtful)
        self._on_trouble = on_trouble
        self._position: str | None = None
        self._counting = asyncio.Lock()
        self._brought = 0.0
        self._troubled = False

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`, count what nobody brings: while the log is away, or its recorder was killed, events go on."""
        while not stop.is_set():
            if time.monotonic() - self._brought > AHEAD_SECONDS:
                await self._ahead()
            try:
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
            except TimeoutError:
                continue

    async def count(self, events: Sequence[Event]) -> None:
        """Count events in the order of their positions; those that were counted are passed over.

        Raises `QueueUnavailable`. Whatever else fails is told and costs the numbers, never the record.
        """
        self._brought = time.monotonic()
        try:
            async with self._counting:
                await self._count(events)
        except QueueUnavailable:
            raise
        except Exception as error:  # see above
            self._trouble(f"events are not counted: {error!r}")

    async def _count(self, events: Sequence[Event]) -> None:
        if self._position is None:
            self._position = await self._store.position()
        while fresh := [event for event in events if _place(event.position) > _place(self._position)]:
            until = fresh[-1].position
            asked = self._fold.unknown(fresh)[:MOST_LOOKED]
            whole, minutes = self._fold(fresh, await self._look(asked))
            self._position = await self._store.add(self._position, until, whole, minutes)

    async def _look(self, job_ids: Sequence[str]) -> dict[str, Moments]:
        jobs = await asyncio.gather(*(self._part.show(job_id) for job_id in job_ids))
        return {job.id: Moments(job.created, job.started) for job in jobs if job}

    async def _ahead(self) -> None:
        try:
            before, self._position = self._position, await self._store.position()
            if before != self._position:
                return  # another recorder's teller counts
            while events := await self._part.read(BLOCK_SECONDS, after=self._position or "0-0", entries=ENTRIES):
                await self.count(events)
        except QueueUnavailable:
            self._position = None  # what was added, if anything, is asked for
        except Exception as error:  # a teller that ended would be worse
            self._trouble(f"events are not counted: {error!r}")

    def _trouble(self, what: str) -> None:
        if not self._troubled:
            self._troubled = True
            self._on_trouble(what)


class CountedSource:
    """A recorder's source whose events are counted before they are recorded."""

    def __init__(self, part: Queue, teller: Teller) -> None:
        self._part = part
        self._teller = teller

    async def lock(self, name: str, holder: str, seconds: float) -> int:
        """As `Queue.lock`."""
        return await self._part.lock(name, holder, seconds)

    async def read(self, block_seconds: float) -> list[Event]:
        """As `Queue.read`."""
        events = await self._part.read(block_seconds)
        await self._teller.count(events)
        return events

    async def bodies(self, job_ids: Sequence[str], *, sealed: bool) -> dict[str, bytes]:
        """As `Queue.bodies`."""
        return await self._part.bodies(job_ids, sealed=sealed)

    async def recorded(self, position: str) -> int:
        """As `Queue.recorded`."""
        return await self._part.recorded(position)
