"""How far the queue and the job log are apart, kept beside the queue for whoever shows it."""

import asyncio
import contextlib
import secrets
import time

from yellowbooks.joblog.log import JobLog, LogUnavailable
from yellowbooks.joblog.lost import FIRST
from yellowbooks.joblog.minutes import LIVING
from yellowbooks.joblog.reconcile import Counts
from yellowbooks.jobs import Queue, QueueUnavailable, absent, parts_of

SEAT = "drift"
LOOK_SECONDS = 300.0
SAMPLE = 250  # rows of each status, the oldest
SETTLED = 60_000  # ms: younger rows may be on their way


async def note_drift(queue: Queue, counts: Counts) -> None:
    """Keep what a whole comparison left. Raises `QueueUnavailable`."""
    only_log = max(0, counts.lost + counts.dead - counts.restored - counts.held - counts.closed)
    told = max(0, counts.unwritten + counts.behind - counts.written)
    await _note(queue, only_log=only_log, differ=told + counts.older)


async def sample_drift(queue: Queue, log: JobLog) -> int:
    """Of the oldest jobs that the log says wait or run, how many the queue does not know; kept too.

    Raises `QueueUnavailable` and `LogUnavailable`.
    """
    until = round(time.time() * 1000) - SETTLED
    places = [one for status in LIVING for one in await asyncio.to_thread(log.places, status, FIRST, SAMPLE)]
    gone = await absent(queue, [job_id for at, job_id in places if at <= until])
    known = await asyncio.to_thread(log.known, gone)  # again: some ended in between
    count = sum(one.row.status in LIVING for one in known.values())
    await _note(queue, only_log=count)
    return count


async def _note(queue: Queue, **counts: int) -> None:
    first = parts_of(queue)[0]
    await first.link.execute("HSET", f"{first.tag}:drift", *(word for pair in counts.items() for word in pair))


class DriftWatch:
    """Takes a sample every few minutes, from one of many processes."""

    def __init__(self, queue: Queue, log: JobLog) -> None:
        self._queue = queue
        self._log = log
        self._id = secrets.token_hex(8)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`. Where either is away there is nothing to compare; both are told elsewhere."""
        while not stop.is_set():
            with contextlib.suppress(QueueUnavailable, LogUnavailable):
                if await self._queue.lock(SEAT, self._id, LOOK_SECONDS * 1.5):
                    await sample_drift(self._queue, self._log)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
