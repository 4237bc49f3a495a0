"""What waits to be sent, oldest first: in memory while the API answers, on disk from then on."""

import contextlib
import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import InvalidStateError

from yellowbooks.client.event import Item, decode
from yellowbooks.spool import Place, Spool

BATCH = 500  # items that are written with one fsync
MOST_LATER = 1000  # items that wait for a time of their own


class Line:
    """Callers `put`; the courier takes, and says what became of it; the keeper moves to disk what has waited too long.

    A caller takes no lock, and the lock is never held over a call to the disk: a disk that hangs holds up nobody who
    puts, nor a courier whom the API answers.
    """

    def __init__(self, spool: Spool | None, capacity: int) -> None:
        self.spool, self.capacity = spool, capacity
        self._entrance: deque[Item] = deque()
        self._lock = threading.Lock()
        self._fresh: deque[Item] = deque()
        self._moving: dict[tuple[str, str], Item] = {}  # what the keeper is writing
        self._moves = 0
        self._later: list[tuple[float, int, Item]] = []
        self._taken: Item | None = None  # one of those, while it is being sent
        self._numbers = itertools.count()

    def put(self, item: Item) -> bool:
        """Take an item; False where there is no room in memory. Never waits."""
        if len(self._entrance) + len(self._fresh) >= self.capacity:
            return False
        self._entrance.append(item)
        return True

    @property
    def in_memory(self) -> int:
        """Items that are in memory alone."""
        later = [*(one for _, _, one in self._later), *([self._taken] if self._taken else ())]
        return len(self._entrance) + len(self._fresh) + sum(one.place is None for one in later)

    @property
    def waiting(self) -> int:
        """All items that are not done, on disk or not."""
        return self.in_memory + (self.spool.waiting if self.spool else 0)

    def oldest(self) -> Item | None:
        """The item that has been in memory for the longest."""
        with self._lock:
            self._enter()
            return self._fresh[0] if self._fresh else None

    def _enter(self) -> None:
        while self._entrance:
            self._fresh.append(self._entrance.popleft())

    def take(self) -> Item | None:
        """The next to be sent; it stays in the line until `finish`, `put_off` or `give_back`."""
        while True:
            with self._lock:
                if self._later and self._later[0][0] <= time.monotonic():
                    self._taken = heapq.heappop(self._later)[2]
                    return self._taken
                moves = self._moves
            if item := self._from_disk():
                return item
            with self._lock:
                if self._moves != moves:  # the oldest may be on disk by now
                    continue
                self._enter()
                return self._fresh[0] if self._fresh else None

    def _from_disk(self) -> Item | None:
        """The oldest on disk; None where there is none, or the disk does not give it now."""
        try:
            while self.spool is not None and self.spool.ready and (found := self.spool.first()) is not None:
                place, record = found
                item = decode(record, place)
                with self._lock:
                    moving = self._moving.get((item.kind, item.job_id)) if item else None
                    if moving is not None:  # it is on disk, and the keeper has not come to say so
                        moving.place = place
                        item = moving
                if item is not None and not item.done and not item.aside:
                    return item
                self._make_good(item, place)
        except OSError:
            pass
        return None

    def _make_good(self, item: Item | None, place: Place) -> None:
        """On disk, too, what is done is struck off, and what was put off stands aside."""
        if item is None or item.done:
            self._strike(place)
        elif item.aside and self.spool is not None:
            self.spool.set_aside(place)

    def next_due(self) -> float | None:
        """When the next one that was put off is due, in this process's clock (s)."""
        with self._lock:
            return self._later[0][0] if self._later else None

    def finish(self, item: Item) -> None:
        """It is done, whatever became of it."""
        with self._lock:
            item.done = True
            self._taken = None
            self._leave(item)
            place = item.place
        if place is not None:
            self._strike(place)
        _settle(item)

    def give_back(self, item: Item) -> None:
        """It was not sent; it keeps its place."""
        if item.aside:
            self._push(item, 0.0)

    def put_off(self, item: Item, seconds: float) -> bool:
        """It waits for a time of its own, on disk where there is one; False where too many wait so."""
        with self._lock:
            if len(self._later) >= MOST_LATER:
                return False
            item.aside = True
            self._leave(item)
            keep = item.place is None and not item.moving
        if self.spool is not None:
            if keep:
                with contextlib.suppress(OSError):
                    [item.place] = self.spool.append([item.encode()])
            if item.place is not None:
                self.spool.set_aside(item.place)
        self._push(item, seconds)
        return True

    def _push(self, item: Item, seconds: float) -> None:
        with self._lock:
            heapq.heappush(self._later, (time.monotonic() + seconds, next(self._numbers), item))
            self._taken = None

    def _leave(self, item: Item) -> None:
        if self._fresh and self._fresh[0] is item:
            self._fresh.popleft()

    def move(self) -> int:
        """Write what is in memory to disk, and return when it is there: how many. Raises `OSError`: then none is."""
        if self.spool is None:
            return 0
        with self._lock:
            self._enter()
            batch = list(itertools.islice(self._fresh, BATCH))
            for item in batch:
                item.moving = True
            self._moving = {(item.kind, item.job_id): item for item in batch}
        if not batch:
            return 0
        places: Sequence[Place | None] = [None] * len(batch)
        try:
            places = self.spool.append([item.encode() for item in batch])
        finally:
            self._moved(batch, places)
        return len(batch)

    def _moved(self, batch: Sequence[Item], places: Sequence[Place | None]) -> None:
        """They are on disk, or the disk refused; what became of one in the meantime is made good there."""
        with self._lock:
            for item, place in zip(batch, places, strict=True):
                item.moving = False
                item.place = place
            while self._fresh and (self._fresh[0].place is not None or self._fresh[0].done):
                self._fresh.popleft()
            self._moves += 1
        for item, place in zip(batch, places, strict=True):
            if place is not None:
                self._make_good(item, place)
                _settle(item)
        with self._lock:
            self._moving = {}

    def adopt(self) -> int:
        """Take over what dead processes left on disk: how many. Raises `OSError`."""
        if self.spool is None:
            return 0
        count = self.spool.adopt()
        with self._lock:
            self._moves += bool(count)
        return count

    def _strike(self, place: Place) -> None:
        if self.spool is not None:
            with contextlib.suppress(OSError):  # it will come again, and the API knows its id
                self.spool.done(place)

    def rest(self) -> list[Item]:
        """What is in memory alone; it leaves the line."""
        with self._lock:
            self._enter()
            items = [*self._fresh, *(one for _, _, one in self._later if one.place is None)]
            self._fresh.clear()
        return [item for item in items if not item.done]


def _settle(item: Item) -> None:
    """Say to a caller who waits that it is kept; he may have gone, or have heard it already."""
    future, item.kept = item.kept, None
    if future is not None:
        with contextlib.suppress(InvalidStateError):
            future.set_result("kept")
