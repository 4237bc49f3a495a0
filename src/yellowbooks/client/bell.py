"""Wakes a thread without a lock: whoever rings never waits, not for another thread either."""

import queue


class Bell:
    """One thread waits, any thread rings. A ring while nobody waits is kept, once."""

    def __init__(self) -> None:
        self._rings: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._rung = False

    def ring(self) -> None:
        """Wake the waiting thread. What it shall see must be there before."""
        if not self._rung:
            self._rung = True
            self._rings.put(None)

    def wait(self, seconds: float | None) -> None:
        """Wait for a ring, `seconds` at most. After it, look at everything anew."""
        try:
            self._rings.get(timeout=None if seconds is None else max(seconds, 0.0))
        except queue.Empty:
            return
        self._rung = False  # before the look: whoever rings from here on is heard again
