"""The recorder: reads the engine's event stream and writes the job log, and loses nothing while either is away."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from yellowbooks.joblog.expiry import Expiry
from yellowbooks.joblog.fold import bodied
from yellowbooks.joblog.log import JobLog, LogUnavailable
from yellowbooks.jobs import Event

SEAT = "recorder"  # two at once would only work twice
BLOCK_SECONDS = 0.5  # how long one read waits for events, and so most of what a stop takes
STOP_SECONDS = 0.8  # what a call in flight gets to end when all shall stop
BACK_SEATS = 3  # how many terms of the seat a recorder leaves to others that cannot do it itself
TIDY_SECONDS = 60.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0  # seconds between tries while something is away
Keep = Literal["sealed", "all", "none"]


class Source(Protocol):
    """Where events come from; a failure is a `ConnectionError` or another `OSError`."""

    async def lock(self, name: str, holder: str, seconds: float) -> int:
        """Take or keep the seat of the one recorder, for so long; 0 where another has it."""
        ...

    async def read(self, block_seconds: float) -> list[Event]:
        """The oldest events that were not `recorded`; none where none comes in the time."""
        ...

    async def bodies(self, job_ids: Sequence[str], *, sealed: bool) -> dict[str, bytes]:
        """What the callers of these jobs sent, of those that are not at their end; see `Queue.bodies`."""
        ...

    async def recorded(self, position: str) -> object:
        """The log has every event up to and with this one: they may go."""
        ...


class Recorder:
    """Writes what happened to the log, one batch after another, as long as it has the seat.

    `seat_seconds` is how long the seat outlives a recorder that vanished. `on_trouble` is told once of each
    trouble what it is, `on_recovered` when it is over; both are called in the event loop. `keep` says of which jobs the
    log keeps what their callers sent until they end: those whose payload has a seal, all, or none. What is dead keeps
    it for `dead_retention` seconds. `retention` (s) is how long rows of ended jobs stay; 0 is for ever.
    """

    def __init__(
        self,
        source: Source,
        log: JobLog,
        *,
        on_trouble: Callable[[str], None],
        on_recovered: Callable[[], None],
        seat_seconds: float = 10.0,
        keep: Keep = "sealed",
        dead_retention: float = 7 * 86_400.0,
        retention: float = 0.0,
    ) -> None:
        self._source = source
        self._log = log
        self._on_trouble = on_trouble
        self._on_recovered = on_recovered
        self._seat = secrets.token_hex(8)
        self._seat_seconds = seat_seconds
        self._keep = keep
        self._dead_retention = dead_retention
        self._expiry = Expiry(log, retention)
        self._tidied = 0.0
        self._renew_at = 0.0
        self._back_at = 0.0
        self._migrated = False
        self._trouble: str | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Record until `stop` is set; then ends within a second. Raises nothing but a cancellation."""
        work, stopping = asyncio.create_task(self._work(stop)), asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({work}, timeout=STOP_SECONDS)
        finally:
            stopping.cancel()
            # A transaction that is cut off here is done or not done; the next recorder tells it all again.
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work

    async def _work(self, stop: asyncio.Event) -> None:
        pause = FIRST_PAUSE
        while not stop.is_set():
            try:
                seated = await self._turn()
            except Exception as error:  # whatever it is, a recorder that ended would be worse
                self._stand_back(error)
                self._tell(str(error) or repr(error))
                await _wait(stop, pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            pause = FIRST_PAUSE
            if seated or not self._stands_back():
                self._tell(None)
            if not seated:
                await _wait(stop, self._seat_seconds / 3)

    async def _turn(self) -> bool:
        """Record one batch. A batch that failed is read again, as the source keeps it until it is recorded."""
        if not self._migrated:
            await asyncio.to_thread(self._log.migrate)
            self._migrated = True
        if not await self._lead():
            return False
        events = await self._source.read(BLOCK_SECONDS)
        if events:
            await self._store(events, await self._bodies(events))
            await self._source.recorded(events[-1].position)
        await self._tidy()
        return True

    async def _bodies(self, events: Sequence[Event]) -> Mapping[str, bytes]:
        brought = bodied(events) if self._keep != "none" else []
        return await self._source.bodies(brought, sealed=self._keep == "sealed") if brought else {}

    async def _tidy(self) -> None:
        """No payload is kept longer than its retention, in the log neither, and no row."""
        await self._expiry.step()
        if time.monotonic() - self._tidied > TIDY_SECONDS:
            before = round((time.time() - self._dead_retention) * 1000)
            if not await asyncio.to_thread(self._log.drop_dead_bodies, before):
                self._tidied = time.monotonic()

    def _stand_back(self, error: Exception) -> None:
        """Let the seat go where it is this recorder that cannot read or write: a newer one beside it may be able to."""
        if not isinstance(error, LogUnavailable | OSError):
            self._back_at = asyncio.get_running_loop().time() + BACK_SEATS * self._seat_seconds

    def _stands_back(self) -> bool:
        return asyncio.get_running_loop().time() < self._back_at

    async def _lead(self) -> bool:
        now = asyncio.get_running_loop().time()
        if self._stands_back():
            self._renew_at = 0.0
            return False
        if now < self._renew_at:
            return True
        leading = await self._source.lock(SEAT, self._seat, self._seat_seconds) > 0
        self._renew_at = now + self._seat_seconds / 3 if leading else 0.0
        return leading

    async def _store(self, events: list[Event], bodies: Mapping[str, bytes]) -> None:
        """Halve a batch that cannot be stored until the one event is found that cannot be; only that is left out."""
        try:
            await asyncio.to_thread(self._log.append, events, bodies)
        except ValueError as error:
            if len(events) > 1:
                middle = len(events) // 2
                await self._store(events[:middle], bodies)
                await self._store(events[middle:], bodies)
            else:
                self._tell(f"left out «{events[0].name}» of job {events[0].job} at {events[0].position}: {error}")

    def _tell(self, trouble: str | None) -> None:
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble is None:
            self._on_recovered()
        else:
            self._on_trouble(trouble)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
