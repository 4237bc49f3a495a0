"""Brings to disk what the API did not take in time, tells what happened, and ends a request that never ends."""

import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from yellowbooks.client.bell import Bell
from yellowbooks.client.courier import Courier
from yellowbooks.client.line import Line
from yellowbooks.client.link import Link

Tell = Callable[..., None]
AGAIN_SECONDS = 1.0  # after the disk refused
STEPS_TIMES = 3  # a request may take so many times the timeout of one step


class Keeper:
    """One thread's work. What has been in memory for `keep_after` (s) goes to disk; at once while the API is away."""

    def __init__(self, line: Line, link: Link, courier: Courier, bell: Bell, tell: Tell, keep_after: float) -> None:
        self.idle = False
        self._line, self._link, self._courier, self._bell = line, link, courier, bell
        self._tell, self._keep_after = tell, keep_after
        self._notes: deque[tuple[str, dict[str, Any]]] = deque()
        self._refused_until = 0.0
        self._trouble = False
        self._stopped = False

    def note(self, word: str, **fields: Any) -> None:
        """Have something told by this thread; whoever notes it never waits for the telling."""
        self._notes.append((word, fields))
        self._bell.ring()

    def stop(self) -> None:
        """End after the present look."""
        self._stopped = True
        self._bell.ring()

    def run(self) -> None:
        """Until `stop`."""
        while not self._stopped:
            self.say()
            self.idle = True  # before the look: who puts from here on rings
            wait = self._look()
            if wait is None or wait > 0:
                self.idle = wait is None
                self._bell.wait(wait)
            self.idle = False

    def say(self) -> None:
        """Tell all notes."""
        while self._notes:
            word, fields = self._notes.popleft()
            try:
                self._tell(word, **fields)
            except Exception as error:  # the app's own; it must not end this thread
                sys.stderr.write(f"yellowbooks: telling «{word}» failed: {type(error).__name__}: {error}\n")

    def _look(self) -> float | None:
        """How long until there is something to do (s); None: until somebody rings."""
        now = time.monotonic()
        waits = []
        began = self._link.began
        if began is not None:
            left = began + STEPS_TIMES * self._link.timeout - now
            if left <= 0:
                self._link.abort()
            waits.append(max(left, AGAIN_SECONDS))
        oldest = self._line.oldest()
        if oldest is not None and self._line.spool is not None:
            left = self._refused_until - now
            if left <= 0 and self._courier.away is None:
                left = oldest.since + self._keep_after - now
            if left <= 0:
                self.keep()
                return 0.0
            waits.append(left)
        return min(waits, default=None)

    def keep(self) -> bool:
        """Bring what is in memory to disk, a batch; False where there is none, or the disk refuses."""
        try:
            moved = self._line.move()
        except OSError as error:
            self._refused_until = time.monotonic() + AGAIN_SECONDS
            if not self._trouble:
                self.note("spool_failed", why=f"{type(error).__name__}: {error}")
            self._trouble = True
            return False
        self._trouble = False
        return moved > 0


class Teller:
    """Writes what happened to standard error, a word at most once a second, with how many were left out."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def __call__(self, word: str, **fields: Any) -> None:
        """One line."""
        now = time.monotonic()
        if now - self._last.get(word, -1.0) < 1.0:
            self._left_out[word] = self._left_out.get(word, 0) + 1
            return
        self._last[word] = now
        if more := self._left_out.pop(word, 0):
            fields["more"] = more
        words = " ".join(f"{key}={value}" for key, value in fields.items())
        sys.stderr.write(f"yellowbooks: {word} {words}".rstrip() + "\n")
