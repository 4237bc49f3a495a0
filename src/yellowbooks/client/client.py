"""The client of a web app: a call that cannot hurt a sign-in, and what works behind it."""

import atexit
import contextlib
import os
import ssl
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, Unpack

from yellowbooks.client.bell import Bell
from yellowbooks.client.courier import Counts, Courier
from yellowbooks.client.event import SIGN_IN, Item, SignIn, item, sign_in
from yellowbooks.client.keeper import Keeper, Teller
from yellowbooks.client.line import Line
from yellowbooks.client.link import Link
from yellowbooks.spool import Spool

DEADLINE = 0.05
LOOK_SECONDS = 0.001
SPOOL_BYTES = 64 * 1024 * 1024

Tell = Callable[..., None]


class Receipt(NamedTuple):
    """What became of a job when the call returned.

    `word` is «queued» (in memory, to be sent or kept within a blink), «kept» (the API has it, or it is on disk) or
    «lost» (there was no room, or the client was closed; it was told, and nothing will be sent).
    """

    job_id: str
    word: str


@dataclass(frozen=True, slots=True)
class State:
    """How it stands with this process. `away` says why nothing is sent now; None while the API answers."""

    away: str | None
    in_memory: int
    waiting: int
    sent: int
    refused: int
    lost: int


class Client:
    """Hands jobs over to the API of `url`; threads may share it, and so may the children of a fork, each for itself.

    A call puts the job into a queue in memory and returns, in microseconds; where that queue is full it waits for room,
    `deadline` seconds at most. One thread sends over one kept-alive connection. What the API does not take within a
    tenth of a second (`keep_after`) goes to files in the folder `spool`, fsynced, and is sent from there in order with
    the same ids, by this process or, when it is dead, by another over the same folder; None keeps it in memory alone.
    The API knows an id for seven days, so nothing is doubled.

    `key` is one of the API's YB_API_KEYS. `timeout` (s) is for each step of a request, `capacity` for jobs in memory,
    `spool_bytes` for all files of the folder, `pauses` (s) the first and the longest pause while the API is away.
    `tell` hears in a thread of ours what an operator should know, as a word and fields: away, back, misconfigured,
    refused, trimmed, lost, adopted, failed, spool_failed, spool_damaged; without it they go to standard error.
    Raises `ValueError` where an argument is wrong.
    """

    def __init__(
        self, url: str, *, spool: str | Path | None, key: str | None = None, deadline: float = DEADLINE,
        timeout: float = 5.0, capacity: int = 10_000, spool_bytes: int = SPOOL_BYTES, keep_after: float = 0.1,
        pauses: tuple[float, float] = (0.25, 15.0), tell: Tell | None = None, tls: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        if not (timeout > 0 and deadline >= 0 and capacity > 0 and 0 < pauses[0] <= pauses[1]):
            raise ValueError("timeout, capacity and pauses must be over 0, the longest pause last; deadline at least 0")
        self.deadline = deadline
        self._tell = tell or Teller()
        self._make: Callable[[], _Works] = lambda: _Works(
            Line(Spool(spool, max_bytes=spool_bytes) if spool is not None else None, capacity),
            Link(url, key, timeout, tls), self._tell, keep_after, pauses,
        )  # fmt: skip
        self._works = self._make()
        self.closed = False
        _clients.add(self)
        if self._works.line.spool and self._works.line.spool.leftover():
            self._works.start()

    def signed_in(self, *, job_id: str | None = None, durable: bool = False, **who: Unpack[SignIn]) -> Receipt:
        """Hand a sign-in over. `job_id` is one a sign-in; without it a new one is made.

        Raises `ValueError` where it names nobody; whatever else goes wrong is told, not raised.
        """
        return self.enqueue(SIGN_IN, sign_in(**who), job_id=job_id, durable=durable)

    def enqueue(
        self, kind: str, payload: Mapping[str, Any], *, job_id: str | None = None, durable: bool = False
    ) -> Receipt:
        """Hand a job of any kind over. With `durable` it waits until the API or the disk has it, within the deadline.

        Raises `ValueError` and `TypeError` where the payload is no JSON or the id none that the API takes.
        """
        until = time.monotonic() + self.deadline
        job, kept = self.prepare(kind, payload, job_id, durable=durable)
        while not self.offer(job):
            if self.closed or time.monotonic() >= until:
                return self.lose(job)
            time.sleep(LOOK_SECONDS)
        if kept is not None:
            with contextlib.suppress(FutureTimeoutError):
                return Receipt(job.job_id, kept.result(max(0.0, until - time.monotonic())))
        return Receipt(job.job_id, "queued")

    def prepare(
        self, kind: str, payload: Mapping[str, Any], job_id: str | None, *, durable: bool
    ) -> tuple[Item, "Future[str] | None"]:
        """For the faces: the item, and where `durable` what says that it is kept."""
        job = item(kind, payload, job_id or uuid.uuid4().hex)
        if durable:
            job.kept = Future()
            job.since -= self._works.keep_after - min(self._works.keep_after, self.deadline / 3)
        return job, job.kept

    def offer(self, job: Item) -> bool:
        """For the faces: put an item into the line; False where there is no room now, or never again."""
        works = self._works
        if self.closed or not works.line.put(job):
            return False
        works.start()
        works.wake()
        return True

    def lose(self, job: Item) -> Receipt:
        """For the faces: tell of an item for which there is no room."""
        self._works.counts.lost += 1
        why = "the client is closed" if self.closed else "no room in memory, nor on disk"
        self._works.keeper.note("lost", job_id=job.job_id, kind=job.kind, why=why)
        if self.closed:
            self._works.keeper.say()
        return Receipt(job.job_id, "lost")

    def tell(self, word: str, **fields: Any) -> None:
        """Tell an operator something; for hooks, which must not raise."""
        self._works.start()
        self._works.keeper.note(word, **fields)

    def start(self) -> None:
        """Start sending what an earlier process left; the first call does so too."""
        self._works.start()

    def state(self) -> State:
        """How it stands."""
        works = self._works
        counts, line = works.counts, works.line
        return State(works.courier.away, line.in_memory, line.waiting, counts.sent, counts.refused, counts.lost)

    def flush(self, seconds: float = 5.0) -> bool:
        """Wait until the API has everything, `seconds` at most; whether it has."""
        until = time.monotonic() + seconds
        while self._works.line.waiting:
            if time.monotonic() >= until:
                return False
            time.sleep(0.005)
        return True

    def close(self, seconds: float = 1.0) -> None:
        """Send what waits, `seconds` at most and while the API answers; the rest is brought to disk. At exit too."""
        if not self.closed:
            self.closed = True
            self._works.close(seconds)
        _clients.discard(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _forked(self) -> None:
        """In a forked child: what was put before the fork is the parent's."""
        self._works.disown()
        self._works = self._make()


class _Works:
    """What works behind a client in one process: the line, and the threads over it, started when first needed."""

    def __init__(self, line: Line, link: Link, tell: Tell, keep_after: float, pauses: tuple[float, float]) -> None:
        self.line, self.link, self.keep_after = line, link, keep_after
        self.counts = Counts()
        self._courier_bell, self._keeper_bell = Bell(), Bell()
        self.courier = Courier(line, link, self._courier_bell, self._note, self.counts, pauses)
        self.keeper = Keeper(line, link, self.courier, self._keeper_bell, tell, keep_after)
        self._starting = threading.Lock()
        self._threads: list[threading.Thread] = []

    def _note(self, word: str, **fields: Any) -> None:
        self.keeper.note(word, **fields)

    def start(self) -> None:
        if self._threads or not self._starting.acquire(blocking=False):
            return  # they run, or another thread starts them
        try:
            if not self._threads:
                threads = [
                    threading.Thread(target=run, name=f"yellowbooks-{name}", daemon=True)
                    for name, run in (("courier", self.courier.run), ("keeper", self.keeper.run))
                ]
                for thread in threads:
                    thread.start()
                self._threads = threads
        except RuntimeError:  # no thread can be started now: the next call tries again
            pass
        finally:
            self._starting.release()

    def wake(self) -> None:
        self._courier_bell.ring()
        if self.keeper.idle or self.courier.away is not None:
            self._keeper_bell.ring()

    def close(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        self.courier.stop(until)
        if self._threads:
            self._threads[0].join(seconds)
            self.keeper.stop()
            self._threads[1].join(seconds)
        if self.line.spool:
            while self.keeper.keep():
                pass
        for job in self.line.rest():
            self.counts.lost += 1
            self.keeper.note("lost", job_id=job.job_id, kind=job.kind, why="the API is away and nothing is on disk")
        self.keeper.say()
        if self.line.spool:
            self.line.spool.close()

    def disown(self) -> None:
        if self.line.spool:
            self.line.spool.disown()
        self.link.disown()


_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


def _close_all() -> None:
    for client in list(_clients):
        client.close()


def _forked_all() -> None:
    for client in list(_clients):
        client._forked()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked_all)
