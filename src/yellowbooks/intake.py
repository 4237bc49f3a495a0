"""Takes jobs in durably: into the queue, and while that is away onto this machine's disk, from where they follow."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from yellowbooks.jobs import (
    Batch,
    Job,
    Kind,
    Partitions,
    Queue,
    QueueUnavailable,
    Receipt,
    State,
    Unfit,
    Unknown,
    Unreadable,
)
from yellowbooks.patience import Patience
from yellowbooks.spool import Place, Spool

PATIENCE_SECONDS = 1.0  # what the queue gets to answer before a job goes to the disk; webhooks wait for 2 s in all
ADOPT_SECONDS = 5.0
PAUSES = (0.1, 2.0)  # seconds: the first and the longest between looks whether the queue is back
ALARM_SECONDS = 60.0
REFUSED_SECONDS = 5.0  # for how long a disk that refused a job is taken for one that would refuse the next

Tell = Callable[..., None]


class Kept(msgspec.Struct, array_like=True):
    """A job on disk: its payload as the queue would store it (sealed, where there is a seal), and whence it came.

    `at` is when it was taken in, ms since 1970.
    """

    kind: str
    job_id: str
    payload: bytes
    at: int
    request: str | None = None
    trace: bytes = b""


class Intake:
    """Admits jobs of these kinds. Without a `spool` it is the queue alone.

    A job that went to the disk is answered as one that was admitted: it has its id, and it is admitted under that id
    when the queue is back, in the order in which jobs came, so that one whose admission was only not heard of is not
    taken in twice. `run` does that; several processes may share the folder of a spool.
    """

    def __init__(self, queue: Queue, kinds: Sequence[Kind[Any]], spool: Spool | None, tell: Tell) -> None:
        self._queue = queue
        self._kinds = {kind.name: kind for kind in kinds}
        self._spool = spool
        self._tell = tell
        self._keep = Batch[bytes, Place](self._write)
        self._wanted = asyncio.Event()
        self._known: dict[str, Job] = {}
        self._alarmed, self._refused = -ALARM_SECONDS, -REFUSED_SECONDS
        self.away = False

    async def admit(
        self, kind: Kind[Any], payload: Any, *, request: str | None = None, trace: bytes = b""
    ) -> tuple[str, Receipt]:
        """As `Queue.admit`; raises `QueueUnavailable` only where neither the queue nor the disk can take it."""
        if self._spool is None:
            return await self._queue.admit(kind, payload, request=request, trace=trace)
        if payload.job_id is None:  # known before it is asked for: what is not heard of can be asked again
            payload.job_id = self._queue.new_id()
        if not self.away:
            try:
                async with Patience(PATIENCE_SECONDS):
                    return await self._queue.admit(kind, payload, request=request, trace=trace)
            except (QueueUnavailable, TimeoutError) as error:
                self._went(str(error) or f"no answer within {PATIENCE_SECONDS:g} s")
        return await self._keep_one(kind, payload, request, trace)

    def find(self, job_id: str) -> Job | None:
        """A job that this process wrote to the disk and that the queue does not have yet."""
        return self._known.get(job_id)

    @property
    def waiting(self) -> int:
        """How many jobs of this process wait on the disk."""
        return self._spool.waiting if self._spool else 0

    def takes(self) -> bool:
        """Whether a job can be taken in although the queue is away."""
        return self._spool is not None and time.monotonic() - self._refused >= REFUSED_SECONDS

    async def run(self) -> None:
        """Bring what is on the disk to the queue, for ever; what a process that died left there, too."""
        self._wanted.set()  # what is there from before
        while self._spool is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ADOPT_SECONDS):
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await asyncio.to_thread(self._spool.adopt)
                await self._follow(self._spool)
            except OSError as error:
                self._alarm("spool_failed", error=str(error))
                await asyncio.sleep(PAUSES[1])

    def close(self) -> None:
        """Let go of the disk; what waits there is for the next process."""
        if self._spool:
            self._spool.close()

    # To the disk

    async def _keep_one(self, kind: Kind[Any], payload: Any, request: str | None, trace: bytes) -> tuple[str, Receipt]:
        at, job_id = round(time.time() * 1000), payload.job_id
        stored = kind.encode(payload.dated(at))
        # Known before it is on the disk: whoever follows may have taken it from there before this goes on.
        self._known[job_id] = _as_job(job_id, kind, at)
        try:
            await self._keep(msgspec.msgpack.encode(Kept(kind.name, job_id, stored, at, request, trace)))
        except (OSError, ValueError) as error:
            self._known.pop(job_id, None)
            self._refused = time.monotonic()
            self._alarm("spool_full", error=str(error))
            raise QueueUnavailable(f"the queue is away and the disk takes no job ({error})") from error
        self._wanted.set()
        return job_id, Receipt("admitted")

    async def _write(self, records: list[bytes]) -> list[Place]:
        if self._spool is None:
            raise OSError("there is no spool")
        return await asyncio.to_thread(self._spool.append, records)

    def _went(self, why: str) -> None:
        """The queue is away: until it is back, nobody else need wait to find that out."""
        if isinstance(self._queue, Partitions):  # the others may be there
            return
        if not self.away:
            self._tell("spooling", error=why)
        self.away = True
        self._wanted.set()

    def _alarm(self, word: str, **fields: Any) -> None:
        if time.monotonic() - self._alarmed >= ALARM_SECONDS:
            self._alarmed = time.monotonic()
            self._tell(word, **fields)

    # Back to the queue

    async def _follow(self, spool: Spool) -> None:
        pause, count = PAUSES[0], 0
        while True:
            try:
                if not await self._next(spool):
                    break
                pause, count = PAUSES[0], count + 1
            except QueueUnavailable:
                await asyncio.sleep(pause)
                pause = min(pause * 2, PAUSES[1])
        if self.away or count:
            self._tell("spooled_in", count=count)
        self.away = False

    async def _next(self, spool: Spool) -> bool:
        """Admit the oldest; False where none waits and the queue answers."""
        found = await asyncio.to_thread(spool.first)
        if found is None:
            if self.away:
                with contextlib.suppress(Unfit):
                    await self._queue.ping()
            return False
        place, record = found
        try:
            kept = msgspec.msgpack.decode(record, type=Kept)
            await self._admit_again(kept)
        except (msgspec.MsgspecError, Unknown, Unreadable) as error:
            # Another release's, or its key is not here: it stays, and the next process that starts looks again.
            self._tell("spool_unread", error=str(error))
            spool.set_aside(place)
            return True
        await asyncio.to_thread(spool.done, place)
        self._known.pop(kept.job_id, None)
        return True

    async def _admit_again(self, kept: Kept) -> None:
        """Through the same admission. Whoever was told «taken in» keeps that, so a limit makes it later, not undone."""
        kind = self._kinds.get(kept.kind)
        if kind is None:
            raise Unknown(f"the kind {kept.kind} is not known here; name its module in YB_KINDS")
        payload = kind.decode(kept.payload)
        payload.job_id = kept.job_id
        said: dict[str, Any] = {"request": kept.request, "trace": kept.trace}
        _, receipt = await self._queue.admit(kind, payload, **said)
        if receipt.word == "limited":
            free = replace(kind, rate=None)
            _, receipt = await self._queue.admit(free, payload, delay=receipt.wait / 1000, **said)
        if receipt.word == "full":
            raise QueueUnavailable("too many jobs are waiting; start more workers")


def _as_job(job_id: str, kind: Kind[Any], at: int) -> Job:
    return Job(
        id=job_id, kind=kind.name, state=State.ENQUEUED, attempts=0, max_attempts=kind.backoff.attempts, crashes=0,
        generation=0, created=at, started=None, ended=None, due=None,
    )  # fmt: skip
