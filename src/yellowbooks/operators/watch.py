"""One reader of the engine's events for all who listen: it starts with the first of them and ends with the last."""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import Iterator

from yellowbooks.jobs import Event, Queue, QueueUnavailable

KEPT = 4000  # events that a listener who lost the line may still be told
LINGER_SECONDS = 10.0  # how long the reader goes on without a listener: a page that lost its line is soon back
AGAIN_SECONDS = 1.0
WINDOW = 10  # seconds over which rates are taken
IN, OUT = frozenset({"admitted"}), frozenset({"completed", "died", "cancelled"})


class Watch:
    """Keeps the newest events, and how many jobs come and go a second, while somebody listens.

    An event's name for listeners is its number here, with the name of this process and the event's time (ms): so a
    listener goes on where it was, also at another process, there from the same moment on.
    """

    def __init__(self, queue: Queue, *, kept: int = KEPT, linger: float = LINGER_SECONDS) -> None:
        self._queue = queue
        self._linger = linger
        self._events: deque[Event] = deque(maxlen=kept)
        self._count = 0  # how many events have been; the number of the newest
        self._name = secrets.token_hex(4)
        self._listeners = 0
        self._reader: asyncio.Task[None] | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._began = 0.0
        self._seconds: deque[list[int]] = deque(maxlen=WINDOW + 1)  # second, in, out

    @property
    def reading(self) -> bool:
        """Whether the reader runs."""
        return self._reader is not None

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """The reader runs at least as long as this lasts."""
        self._listeners += 1
        if self._ending:
            self._ending.cancel()
            self._ending = None
        if self._reader is None:
            self._began = time.monotonic()
            self._seconds.clear()
            if self._count:
                self._miss()
            self._reader = asyncio.create_task(self._read())
        try:
            yield
        finally:
            self._listeners -= 1
            if not self._listeners:
                self._ending = asyncio.get_running_loop().call_later(self._linger, self._end)

    def cursor(self, last: str) -> int:
        """The number of the event that a listener heard last; of the newest where its name says nothing."""
        process, _, rest = last.partition("-")
        number, _, at = rest.partition("-")
        if not (number.isdecimal() and at.isdecimal()):
            return self._count
        if process == self._name:
            return min(int(number), self._count)
        later = sum(event.at >= int(at) for event in self._events)
        return self._count - later

    def name(self, number: int) -> str:
        """What an event of this number is called."""
        back = self._count - number
        known = self._events[-1 - back].at if back < len(self._events) else int(time.time() * 1000)
        return f"{self._name}-{number}-{known}"

    def after(self, cursor: int, most: int) -> tuple[list[tuple[int, Event]], int]:
        """The newest events after a cursor, at most so many, with their numbers; and how many were left out."""
        new = self._count - cursor
        shown = min(new, most, len(self._events))
        first = self._count - shown
        events = [self._events[len(self._events) - shown + n] for n in range(shown)]
        return [(first + 1 + n, event) for n, event in enumerate(events)], new - shown

    def rates(self) -> tuple[float, float] | None:
        """Jobs in and out a second, over the last ten; None where the reader has not run for two."""
        age = time.monotonic() - self._began
        if self._reader is None or age < 2:
            return None
        oldest = int(time.monotonic()) - WINDOW
        counted = [second for second in self._seconds if second[0] >= oldest]
        span = min(age, WINDOW)
        return sum(second[1] for second in counted) / span, sum(second[2] for second in counted) / span

    async def close(self) -> None:
        """End the reader."""
        if self._ending:
            self._ending.cancel()
        self._end()

    def _end(self) -> None:
        if self._reader:
            self._reader.cancel()
        self._reader = self._ending = None

    async def _read(self) -> None:
        while True:
            with contextlib.suppress(QueueUnavailable):
                async for event in self._queue.follow():
                    self._take(event)
            self._miss()
            await asyncio.sleep(AGAIN_SECONDS)

    def _miss(self) -> None:
        """What comes in between is missed; listeners are told so."""
        self._count += 1
        self._events.append(Event(job="", name="missed", at=int(time.time() * 1000), kind="", state=""))

    def _take(self, event: Event) -> None:
        self._count += 1
        self._events.append(event)
        second = int(time.monotonic())
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append([second, 0, 0])
        self._seconds[-1][1] += event.name in IN
        self._seconds[-1][2] += event.name in OUT
