"""Looks at the numbers every few seconds and tells what is wrong once, from one of many processes."""

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from yellowbooks.alerts.rules import read, troubles
from yellowbooks.alerts.send import Notice, NotSent, Send
from yellowbooks.alerts.state import Alert, AwayNote, Fenced, State
from yellowbooks.jobs import Queue, QueueUnavailable

SEAT = "alerts"
AWAY = "away"
AWAY_TEXT = "the queue does not answer: sign-ins are answered 503; see Valkey and its log"
SEND_SECONDS = 15.0  # what one way to the operator gets, well within the seat

Tell = Callable[..., None]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between two looks; how long the seat of a process that vanished stays taken; how long a trouble must be
    gone before it is over; how long one must last before it is told (a worker that is started anew is no alarm); and
    how much later than the seated process another one tells that the queue is away."""

    look: float = 5.0
    seat: float = 40.0
    calm: float = 30.0
    lasts: Mapping[str, float] = field(default_factory=lambda: {"workers": 30.0})
    others: float = 60.0


class AlertWatch:
    """One of many: whoever has the seat (a lock of the queue) looks and tells.

    What was told is kept beside the queue before and after it is sent, under the seat's fencing token: a process that
    lost the seat writes nothing and sends nothing, and its successor knows what was told. A trouble that was being sent
    when its sender was killed is sent once more, as a missed alarm is worse. That the queue is away is told by who had
    the seat, or `others` later by the first process of a machine that still cannot reach it.
    """

    def __init__(
        self, queue: Queue, state: State, note: AwayNote, sends: Sequence[Send], limits: Mapping[str, float],
        tell: Tell, pace: Pace = Pace(),
    ) -> None:  # fmt: skip
        self._queue = queue
        self._state = state
        self._note = note
        self._sends = sends
        self._limits = limits
        self._tell = tell
        self._pace = pace
        self._id = secrets.token_hex(8)
        self._seated = False
        self._away_since: float | None = None
        self._unsent: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; whatever fails is told and tried again."""
        while not stop.is_set():
            try:
                await self._look()
            except QueueUnavailable:
                await self._away()
            except Exception as error:  # a watch that ended would be worse
                self._tell("failed", error=f"the alerts: {error!r}")
            try:
                await asyncio.wait_for(stop.wait(), self._pace.look)
            except TimeoutError:
                continue
        if self._seated:
            try:
                await self._queue.unlock(SEAT, self._id)
            except QueueUnavailable:
                return

    async def _look(self) -> None:
        token = await self._queue.lock(SEAT, self._id, self._pace.seat)
        await self._back()
        self._seated = token > 0
        if not token:
            return
        wrong = troubles(await read(self._queue), self._limits)
        alerts = await self._state.load()
        self._note_changes(alerts, wrong)
        try:
            await self._state.save(token, alerts)
            await self._tell_changes(token, alerts)
        except Fenced:
            self._seated = False

    def _note_changes(self, alerts: dict[str, Alert], wrong: Mapping[str, str]) -> None:
        now = time.time()
        for name, text in wrong.items():
            alert = alerts.setdefault(name, Alert(since=now, text=text))
            alert.text, alert.calm = text, 0.0
        for name, alert in list(alerts.items()):
            if name not in wrong:
                alert.calm = alert.calm or now
                if not alert.told:
                    del alerts[name]

    async def _tell_changes(self, token: int, alerts: dict[str, Alert]) -> None:
        now = time.time()
        for name, alert in list(alerts.items()):
            if await self._queue.lock(SEAT, self._id, self._pace.seat) != token:
                raise Fenced
            lasted = now - alert.since >= self._pace.lasts.get(name, 0.0)
            if not alert.told and not alert.calm and lasted:
                alert.told = await self._send(name, alert.since, alert.text, over=False)
            elif alert.calm and now - alert.calm >= self._pace.calm:
                text = f"it lasted {alert.calm - alert.since:.0f} s"
                if not await self._send(name, alert.since, text, over=True):
                    continue
                del alerts[name]
            else:
                continue
            await self._state.save(token, alerts)

    async def _send(self, name: str, since: float, text: str, *, over: bool) -> bool:
        """Whether it reached the operator, by one way at least."""
        notice = Notice(f"alert-{name}-{since:.3f}-{'over' if over else 'on'}", name, over, text)
        reached = False
        for send in self._sends:
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    await send(notice)
                reached = True
            except (NotSent, TimeoutError) as error:
                if notice.key not in self._unsent:
                    self._tell("alert_unsent", alert=name, error=str(error) or "too slow")
                    self._unsent.add(notice.key)
        if reached:
            self._unsent.discard(notice.key)
            self._tell("alert_over" if over else "alert", alert=name, text=text)
        return reached

    async def _away(self) -> None:
        """The queue cannot be reached: the one thing of which it cannot keep what was told."""
        self._away_since = self._away_since or time.time()
        limit = self._limits.get(AWAY)
        if limit is None:
            return
        patience = limit + (0.0 if self._seated else self._pace.others)
        if time.time() - self._away_since < patience:
            return
        with self._note.held():
            if not self._note.since() and await self._send(AWAY, self._away_since, AWAY_TEXT, over=False):
                self._note.write()

    async def _back(self) -> None:
        self._away_since = None
        if not self._note.since():
            return
        with self._note.held():
            since = self._note.since()
            if since and await self._send(AWAY, since, f"it lasted {time.time() - since:.0f} s", over=True):
                self._note.remove()
