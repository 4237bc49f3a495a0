"""The worker: claim, run, decide, settle; and the graceful stop."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from yellowbooks.jobs.heartbeat import Heartbeat
from yellowbooks.jobs.kind import Kind, Unreadable
from yellowbooks.jobs.lease import Lease, LeaseLost
from yellowbooks.jobs.outcome import Dead, Outcome, decide, describe
from yellowbooks.jobs.queue import Queue, QueueUnavailable

IDLE_SECONDS = 1.0  # an idle worker asks this often: the logical clock ticks and expired leases are reaped
RECONNECT_SECONDS = (0.1, 2.0)  # the first and the longest wait while the queue is away

Tell = Callable[..., None]
"""The one hook by which a worker speaks: `tell(word, job=…, kind=…, …)`; see `observe`."""


class Worker:
    """Runs the jobs of some kinds, up to `concurrency` at once, until `run` is told to stop.

    `open_queue` makes a `Queue`; the worker opens two, as its leases are renewed from a thread with a connection of
    its own: a handler that blocks the event loop keeps its lease.
    """

    def __init__(
        self, open_queue: Callable[[], Queue], kinds: Sequence[Kind[Any]], *, concurrency: int, grace: float, tell: Tell
    ) -> None:
        self._queue = open_queue()
        self._heartbeat = Heartbeat(open_queue, self._lost, tell)
        self._kinds = {kind.name: kind for kind in kinds}
        self._concurrency = concurrency
        self._grace = grace
        self._tell = tell
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._away = 0.0

    async def run(self, stop: asyncio.Event, at_once: asyncio.Event) -> None:
        """Work until `stop`; then finish what runs, or give it back, within the grace, or when `at_once` is set."""
        self._heartbeat.start(asyncio.get_running_loop())
        try:
            while not stop.is_set():
                await self._turn(stop)
            await self._finish(at_once)
        finally:
            self._heartbeat.stop()
            await self._queue.close()

    async def _turn(self, stop: asyncio.Event) -> None:
        room = self._concurrency - len(self._running)
        if room <= 0:
            await _first(stop.wait(), self._slot())
            return
        try:
            leases, due = await self._queue.claim(tuple(self._kinds), room)
            if stop.is_set():
                await self._queue.release(leases)
            elif leases:
                self._begin(leases)
            else:
                await _first(stop.wait(), self._queue.wait(tuple(self._kinds), _until(due)))
            self._back()
        except QueueUnavailable as error:
            await self._wait_for_queue(error, stop)

    async def _slot(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _begin(self, leases: list[Lease]) -> None:
        for lease in leases:
            self._heartbeat.hold(lease)
            task = asyncio.create_task(self._execute(lease))
            self._running[lease.token] = task
            task.add_done_callback(lambda _task, token=lease.token: self._end(token))  # type: ignore[misc]  # bound early

    def _end(self, token: str) -> None:
        self._heartbeat.drop(token)
        self._running.pop(token, None)
        self._changed.set()

    def _lost(self, token: str) -> None:
        task = self._running.get(token)
        if task:
            self._tell("lost", token=token)
            task.cancel()

    async def _execute(self, lease: Lease) -> None:
        began = time.monotonic()
        try:
            outcome = await self._attempt(lease)
        except LeaseLost:
            self._tell("lost", job=lease.job_id, kind=lease.kind, attempt=lease.attempt)
            return
        seconds = time.monotonic() - began
        answer = await self._settle(lease, outcome)
        word = type(outcome).__name__.lower() if answer != "stale" else "lost"
        self._tell(
            word,
            job=lease.job_id,
            kind=lease.kind,
            attempt=lease.attempt,
            seconds=round(seconds, 4),
            error=getattr(outcome, "error", None),
            delay=getattr(outcome, "delay", None),
        )

    async def _attempt(self, lease: Lease) -> Outcome:
        kind = self._kinds[lease.kind]
        error: Exception | None = None
        try:
            await kind.handler(lease, kind.decode(lease.payload))
        except LeaseLost:
            raise
        except Unreadable as unreadable:
            return Dead(describe(unreadable))
        except Exception as failure:  # whatever a handler raises is its answer
            error = failure
        return decide(error, lease.attempt, lease.job_id, kind.backoff, kind.doubt, lease.uncertain)

    async def _settle(self, lease: Lease, outcome: Outcome) -> str:
        """What was done must be said, however long the queue is away: unsaid, it would be done again."""
        pause = RECONNECT_SECONDS[0]
        while True:
            try:
                return await self._queue.settle(lease, outcome)
            except QueueUnavailable:
                await asyncio.sleep(pause)
                pause = min(pause * 2, RECONNECT_SECONDS[1])

    async def _finish(self, at_once: asyncio.Event) -> None:
        if self._running:
            everything = asyncio.gather(*self._running.values(), return_exceptions=True)
            await _first(at_once.wait(), _within(self._grace, everything))
        leases = self._heartbeat.held()
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
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
