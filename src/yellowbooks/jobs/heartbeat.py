"""Renews a worker's leases from a thread of its own, so that a blocked event loop keeps them."""

import asyncio
import threading
from collections.abc import Callable

from yellowbooks.jobs.lease import Lease
from yellowbooks.jobs.queue import Queue, QueueUnavailable

AGAIN_SECONDS = 1.0  # how soon to try again where the queue was away


class Heartbeat:
    """Holds leases: renews them at a third of their time and says which were lost.

    `lost` is called with the token, on the event loop that `start` was given.
    """

    def __init__(self, open_queue: Callable[[], Queue], lost: Callable[[str], None], tell: Callable[..., None]) -> None:
        self._open_queue = open_queue
        self._lost = lost
        self._tell = tell
        self._leases: dict[str, Lease] = {}
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

    def hold(self, lease: Lease) -> None:
        """Keep this lease alive."""
        with self._lock:
            self._leases[lease.token] = lease

    def drop(self, token: str) -> None:
        """Let this lease go."""
        with self._lock:
            self._leases.pop(token, None)

    def held(self) -> list[Lease]:
        """The leases held now."""
        with self._lock:
            return list(self._leases.values())

    async def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        queue = self._open_queue()
        pause = queue.lease / 3
        while not await asyncio.to_thread(self._stopped.wait, pause):
            pause = queue.lease / 3
            try:
                await self._renew(queue, loop)
            except QueueUnavailable as error:
                pause = min(AGAIN_SECONDS, pause)
                self._tell("unrenewed", error=str(error))
        await queue.close()

    async def _renew(self, queue: Queue, loop: asyncio.AbstractEventLoop) -> None:
        leases = self.held()
        for lease, answer in zip(leases, await queue.renew(leases), strict=True):
            if answer == "lost":
                self.drop(lease.token)
                loop.call_soon_threadsafe(self._lost, lease.token)
