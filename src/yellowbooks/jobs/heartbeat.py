"""Renews a worker's leases from a thread of its own, so that a blocked event loop keeps them."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from yellowbooks.jobs.kind import Kind
from yellowbooks.jobs.lease import Lease
from yellowbooks.jobs.link import QueueUnavailable
from yellowbooks.jobs.queue import Queue

AGAIN_SECONDS = 1.0  # how soon to try again where the queue was away

Ended = Callable[[str, str], None]
"""Hears of a lease that ended under its worker: the token and why, «lost» or «overdue»."""


class Heartbeat:
    """Holds leases: renews them at a third of their time and says which were lost; and registers the worker.

    `ended` is called on the event loop that `start` was given. A lease past its time limit is not renewed any more:
    even where its handler cannot be stopped, the job will run again.
    """

    def __init__(
        self, open_queue: Callable[[], Queue], ended: Ended, tell: Callable[..., None], *, worker: str,
        kinds: Sequence[Kind[Any]], about: str, idle: Callable[[], float], capacity: int = 0,
    ) -> None:  # fmt: skip
        self._open_queue = open_queue
        self._ended = ended
        self._tell = tell
        self._worker = worker
        self._kinds = kinds
        self._about = about
        self._idle = idle
        self._capacity = capacity
        self._leases: dict[str, tuple[Lease, float]] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to beat; lost leases are reported to `loop`."""
        self._thread = threading.Thread(target=lambda: asyncio.run(self._beat(loop)), name="heartbeat", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        if self._thread:
            self._thread.join(timeout=5)

    def hold(self, leases: Iterable[tuple[Lease, float]]) -> None:
        """Keep these leases alive, each until a moment of `time.monotonic`."""
        with self._lock:
            self._leases.update((pair[0].token, pair) for pair in leases)

    def drop(self, tokens: Iterable[str]) -> None:
        """Let these leases go."""
        with self._lock:
            for token in tokens:
                self._leases.pop(token, None)

    def held(self) -> list[Lease]:
        """The leases held now."""
        with self._lock:
            return [lease for lease, _ in self._leases.values()]

    async def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        queue = self._open_queue()
        pause = 0.0
        while not await asyncio.to_thread(self._stopped.wait, pause):
            pause = queue.lease / 3
            try:
                await self._renew(queue, loop)
            except QueueUnavailable as error:
                pause = min(AGAIN_SECONDS, pause)
                self._tell("unrenewed", error=str(error))
        try:
            await queue.leave(self._worker)
        except QueueUnavailable:
            self._tell("unrenewed", error="the worker stays registered until it is silent for three leases")
        await queue.close()

    async def _renew(self, queue: Queue, loop: asyncio.AbstractEventLoop) -> None:
        moment = time.monotonic()
        with self._lock:
            overdue = [lease for lease, limit in self._leases.values() if moment > limit]
        self._end(loop, overdue, "overdue")
        leases = self.held()
        answers = await queue.renew(
            leases,
            worker=self._worker,
            kinds=self._kinds,
            about=self._about,
            idle=self._idle(),
            capacity=self._capacity,
        )
        self._end(loop, [one for one, answer in zip(leases, answers, strict=True) if answer == "lost"], "lost")

    def _end(self, loop: asyncio.AbstractEventLoop, leases: Sequence[Lease], why: str) -> None:
        self.drop(lease.token for lease in leases)
        for lease in leases:
            loop.call_soon_threadsafe(self._ended, lease.token, why)
