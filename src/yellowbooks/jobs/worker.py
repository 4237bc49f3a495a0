"""The worker: claim, run, settle; and the graceful stop."""

import asyncio
import math
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from yellowbooks.jobs.attempt import Runner
from yellowbooks.jobs.chores import Chores
from yellowbooks.jobs.heartbeat import Heartbeat
from yellowbooks.jobs.kind import Kind
from yellowbooks.jobs.lease import Lease, LeaseLost
from yellowbooks.jobs.link import QueueUnavailable
from yellowbooks.jobs.outcome import COMPLETED, Outcome
from yellowbooks.jobs.partitions import Partitions
from yellowbooks.jobs.queue import Queue
from yellowbooks.jobs.schedule import Schedule
from yellowbooks.jobs.settler import Done, Settler
from yellowbooks.jobs.settlers import Settlers

IDLE_SECONDS = 1.0  # an idle worker asks this often: the logical clock ticks and expired leases are reaped
RECONNECT_SECONDS = (0.1, 2.0)  # the first and the longest wait while the queue is away
STALLED_SECONDS = 30.0
CHORES_SECONDS = 2.0  # what a chore in flight gets to end

Tell = Callable[..., None]
"""The one hook by which a worker speaks: `tell(word, job=…, kind=…, …)`; see `observe`."""


class Worker:
    """Runs the jobs of some kinds, up to `concurrency` at once, until `run` is told to stop.

    `open_queue` makes a `Queue`; the worker opens two, as its leases are renewed from a thread with a connection of
    its own: a handler that blocks the event loop keeps its lease.
    """

    def __init__(
        self,
        open_queue: Callable[[], Queue],
        kinds: Sequence[Kind[Any]],
        *,
        concurrency: int,
        grace: float,
        tell: Tell,
        schedules: Sequence[Schedule] = (),
    ) -> None:
        self._queue = open_queue()
        self._chores = Chores(self._queue, schedules, tell)
        self.id = self._queue.id
        self._kinds = tuple(kinds)
        self._names = tuple(kind.name for kind in kinds)
        self._heartbeat = Heartbeat(
            open_queue, self._ended, tell, worker=self.id, kinds=self._kinds,
            about=f"{socket.gethostname()}:{os.getpid()}", idle=self._idle,
            capacity=concurrency,
        )  # fmt: skip
        self._runners = {kind.name: Runner(kind) for kind in kinds}
        make = Settlers if isinstance(self._queue, Partitions) else Settler
        self._settler = make(
            lambda some: self._queue.settle_many(some, self._kinds), self._said, lambda: len(self._running)
        )
        self._concurrency = concurrency
        self._grace = grace
        self._tell = tell
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._stopping: asyncio.Task[bool] | None = None
        self._away = 0.0
        self._asked = time.monotonic()

    async def run(self, stop: asyncio.Event, at_once: asyncio.Event) -> None:
        """Work until `stop`; then finish what runs, or give it back, within the grace, or when `at_once` is set."""
        self._heartbeat.start(asyncio.get_running_loop())
        chores = asyncio.create_task(self._chores.run(stop))
        try:
            while not stop.is_set():
                await self._turn(stop)
            await self._finish(at_once)
        finally:
            chores.cancel()
            if self._stopping:
                self._stopping.cancel()
            self._heartbeat.stop()
            await asyncio.wait({chores}, timeout=CHORES_SECONDS)
            await self._queue.close()

    def stalled(self) -> str | None:
        """Why this worker takes nothing though it should, or None while all is well.

        Well means: the queue answered a claim lately, every slot is taken by a running job, or the queue is away, is
        known to be, and is asked again and again: a restart would help nobody and forget what is done and not yet said.
        """
        idle = self._idle()
        if idle < STALLED_SECONDS or self._away:
            return None
        return f"no claim was answered for {idle:.0f} s; restart this worker"

    def _idle(self) -> float:
        """Seconds since a claim was answered; 0 where every slot is taken."""
        full = len(self._running) >= self._concurrency
        return 0.0 if full else time.monotonic() - self._asked

    async def _turn(self, stop: asyncio.Event) -> None:
        room = self._concurrency - len(self._running)
        if room <= 0:
            self._changed.clear()
            await _first(stop.wait(), self._changed.wait())
            return
        try:
            leases, due = await self._queue.claim(self._kinds, room)
            self._asked = time.monotonic()
            if stop.is_set():
                await self._queue.release(leases)
            elif leases:
                self._begin(leases)
            else:
                await self._idle_until(_until(due), stop)
            self._back()
        except QueueUnavailable as error:
            await self._wait_for_queue(error, stop)

    async def _idle_until(self, seconds: float, stop: asyncio.Event) -> None:
        """Block in the queue; a stop need not wait for it."""
        waiting = asyncio.create_task(self._queue.wait(self._names, seconds))
        self._stopping = self._stopping or asyncio.create_task(stop.wait())
        await asyncio.wait({waiting, self._stopping}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            waiting.result()
        else:
            waiting.cancel()

    def _begin(self, leases: list[Lease]) -> None:
        moment = time.monotonic()
        self._heartbeat.hold((lease, moment + self._limit(lease)) for lease in leases)
        create = asyncio.get_running_loop().create_task
        for lease in leases:
            self._running[lease.token] = create(self._execute(lease))

    def _limit(self, lease: Lease) -> float:
        limit = self._runners[lease.kind].kind.time_limit
        return math.inf if limit is None else limit + self._queue.lease / 3

    async def _execute(self, lease: Lease) -> None:
        began = time.monotonic()
        try:
            outcome = await self._runners[lease.kind](lease)
        except LeaseLost:
            self._tell("lost", job=lease.job_id, kind=lease.kind, attempt=lease.attempt)
            self._gone([lease.token])
        except asyncio.CancelledError:
            self._gone([lease.token])
            raise
        else:
            self._settler.add(lease, outcome, time.monotonic() - began)

    def _ended(self, token: str, why: str) -> None:
        task = self._running.get(token)
        if task:
            self._tell("lost", token=token, why=why)
            task.cancel()

    def _gone(self, tokens: list[str]) -> None:
        self._heartbeat.drop(tokens)
        for token in tokens:
            self._running.pop(token, None)
        self._changed.set()

    def _said(self, done: list[Done], answers: list[str]) -> None:
        self._gone([lease.token for lease, _, _ in done])
        for (lease, outcome, seconds), answer in zip(done, answers, strict=True):
            if outcome is COMPLETED:
                self._chores.worked(self._runners[lease.kind].kind)
            word = _word(outcome) if answer != "stale" else "lost"
            self._tell(
                word,
                job=lease.job_id,
                kind=lease.kind,
                attempt=lease.attempt,
                seconds=round(seconds, 4),
                error=getattr(outcome, "error", None),
                delay=getattr(outcome, "delay", None),
            )

    async def _finish(self, at_once: asyncio.Event) -> None:
        if self._running:
            everything = asyncio.gather(*self._running.values(), return_exceptions=True)
            await _first(at_once.wait(), _within(self._grace, everything))
        tasks = [task for task in self._running.values() if not task.done()]
        unfinished = {token for token, task in self._running.items() if not task.done()}
        leases = [lease for lease in self._heartbeat.held() if lease.token in unfinished]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._settler.finish()
        try:
            await self._queue.release(leases)  # one that was committed stays leased, to be found in doubt
        except QueueUnavailable as error:
            self._tell("unreleased", count=len(leases), error=str(error))

    async def _wait_for_queue(self, error: Exception, stop: asyncio.Event) -> None:
        if not self._away:
            self._tell("queue_away", error=str(error))
        self._away = min(max(self._away * 2, RECONNECT_SECONDS[0]), RECONNECT_SECONDS[1])
        await _first(stop.wait(), asyncio.sleep(self._away))

    def _back(self) -> None:
        if self._away:
            self._tell("queue_back")
        self._away = 0.0


def _word(outcome: Outcome) -> str:
    return "completed" if outcome is COMPLETED else type(outcome).__name__.lower()


def _until(due: float) -> float:
    return IDLE_SECONDS if due < 0 else min(due, IDLE_SECONDS)


async def _within(seconds: float, work: "asyncio.Future[Any]") -> None:
    await asyncio.wait({work}, timeout=seconds)


async def _first(*waits: Any) -> None:
    """Wait for the first of these; cancel the others. Raises what the finished one raised."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
    for task in done:
        task.result()
