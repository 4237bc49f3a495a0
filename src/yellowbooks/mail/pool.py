"""The sessions with one server: kept, used again, bounded in number, age and use."""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from yellowbooks.mail.message import Message
from yellowbooks.mail.opening import SetUpFailed, set_up
from yellowbooks.mail.server import SmtpServer, Times
from yellowbooks.mail.session import CLOSING_SECONDS, Session

CALM_SECONDS = 60.0  # for how long no more sessions are opened than a busy server took


@dataclass(eq=False, slots=True)
class _Place:
    """One who stands in line: with a mail whose envelope may go before he has a session, or without."""

    session: "asyncio.Future[Session | None]"
    message: Message | None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many sessions a server gets, and how long (seconds) and how often each is used."""

    sessions: int = 20
    mails: int = 100
    age: float = 300.0
    idle: float = 20.0


class Shut(Exception):
    """While one stood in line, the server was found unusable."""


class Pool:
    """Lends sessions, each to one mail at a time; whoever finds all of them lent stands in line.

    `shut` says that the server is left alone: who stands in line then need not find that out again.
    """

    def __init__(self, server: SmtpServer, helo: str, times: Times, bounds: Bounds, shut: Callable[[], bool]) -> None:
        self._server = server
        self._helo = helo
        self._times = times
        self._bounds = bounds
        self._shut = shut
        self._context: ssl.SSLContext | None = None  # one takes milliseconds to make
        self._loop: asyncio.AbstractEventLoop | None = None  # that of the sessions; to ask for it is a system call
        self._idle: list[Session] = []
        self._count = 0  # sessions that are open or being opened
        self._line: deque[_Place] = deque()
        self._promised: dict[Session, _Place] = {}
        self._most = bounds.sessions
        self._calm_until = 0.0
        self._sweep: asyncio.TimerHandle | None = None

    async def take(self, message: Message, *, fresh: bool = False) -> Session:
        """A session for this mail: one that was kept, or where `fresh` is said or none is kept a new one.

        Raises `SetUpFailed` and `Shut`. Give it back, whatever became of the mail.
        """
        while True:
            session = None if fresh else self._kept()
            if session:
                return session
            if self._count < self._limit():
                opened = await self._open()
                if opened:
                    return opened
            handed = await self._stand_in_line(None if fresh else message)
            if self._shut():
                if handed:
                    self.give(handed)
                else:
                    self._hand(None)
                raise Shut
            if handed and (not fresh or not handed.mails):
                return handed
            if handed:
                self._retire(handed)

    def give(self, session: Session) -> None:
        """A mail is done with its session."""
        now = time.monotonic()
        place = self._promised.pop(session, None)
        if place and not place.session.done() and session.usable:
            session.used = now
            place.session.set_result(session)
            return
        if place and not place.session.done():  # the session is gone with the envelope; another will do
            self._line.appendleft(place)
        if session.promised:  # for one who does not want it any more: what was begun for him cannot be ended otherwise
            session.abort()
        if not session.usable or self._worn(session, 0):
            self._retire(session)
            return
        session.used = now
        if not self._hand(session):
            self._idle.append(session)
            if self._sweep is None:
                self._sweep = self._loop_of().call_later(self._bounds.idle, self._swept)

    def _worn(self, session: Session, more: int) -> bool:
        """Whether a session was used enough, or will have been after so many more mails."""
        aged = time.monotonic() - session.opened > self._bounds.age
        return aged or session.mails + more >= self._bounds.mails or self._count > self._limit()

    def _promise(self, session: Session) -> Message | None:
        """A mail's text goes: the mail of the first in line may begin in the same write."""
        while self._line and self._line[0].session.done():
            self._line.popleft()
        if not self._line or self._line[0].message is None or self._worn(session, 1) or self._shut():
            return None
        self._promised[session] = self._line.popleft()
        return self._promised[session].message

    async def close(self) -> None:
        """End the sessions that nobody uses; takes little more than `CLOSING_SECONDS` at most."""
        if self._sweep:
            self._sweep.cancel()
            self._sweep = None
        ending, self._idle = self._idle, []
        for session in ending:
            self._retire(session)
        if ending:
            await asyncio.wait([session.gone for session in ending], timeout=CLOSING_SECONDS * 1.2)

    def _kept(self) -> Session | None:
        now = time.monotonic()
        while self._idle:
            session = self._idle.pop()
            if session.usable and now - session.used < self._bounds.idle and now - session.opened < self._bounds.age:
                return session
            self._retire(session)
        return None

    def _limit(self) -> int:
        if self._most < self._bounds.sessions and time.monotonic() > self._calm_until:
            self._most = self._bounds.sessions
        return self._most

    async def _open(self) -> Session | None:
        """A new session; None where the server is too busy for one more and has others of ours."""
        self._count += 1
        try:
            if self._context is None:
                self._context = ssl.create_default_context(cafile=self._server.cafile)
            session = await set_up(self._server, self._helo, self._context, self._times)
        except SetUpFailed as failure:
            self._gone()
            if failure.busy and self._count:
                self._most = self._count
                self._calm_until = time.monotonic() + CALM_SECONDS
                return None
            raise
        except OSError as error:  # of the file of authorities
            self._gone()
            raise SetUpFailed(f"{self._server.cafile}: {error}", "connect", "cafile", ours=True) from None
        except BaseException:
            self._gone()
            raise
        session.on_end, session.on_text = self._ended, self._promise
        return session

    async def _stand_in_line(self, message: Message | None) -> Session | None:
        """The session that somebody gives back, or None where another may be opened."""
        place = _Place(self._loop_of().create_future(), message)
        self._line.append(place)
        try:
            return await place.session
        except asyncio.CancelledError:
            if place.session.done() and not place.session.cancelled():  # handed to one who does not want it any more
                handed = place.session.result()
                if handed:
                    self.give(handed)
                else:
                    self._hand(None)
            raise

    def _loop_of(self) -> asyncio.AbstractEventLoop:
        self._loop = self._loop or asyncio.get_running_loop()
        return self._loop

    def _hand(self, session: Session | None) -> bool:
        while self._line:
            place = self._line.popleft()
            if not place.session.done():
                place.session.set_result(session)
                return True
        return False

    def _retire(self, session: Session) -> None:
        """End a session. Its place is free when the server has closed too, which may count how many it has of ours."""
        if session.gone.done():
            self._gone()
            return
        session.on_end = self._retired
        session.quit()

    def _retired(self, _session: Session) -> None:
        self._gone()

    def _ended(self, session: Session) -> None:
        """A session's connection is gone; one that is lent is given back by whoever has it."""
        if session in self._idle:
            self._idle.remove(session)
            session.on_end = _nothing
            self._gone()

    def _gone(self) -> None:
        self._count -= 1
        self._hand(None)

    def _swept(self) -> None:
        """Sessions that nobody used for long are ended."""
        self._sweep = None
        now = time.monotonic()
        old = [session for session in self._idle if now - session.used >= self._bounds.idle * 0.9]
        self._idle = [session for session in self._idle if session not in old]
        for session in old:
            self._retire(session)
        if self._idle:
            self._sweep = self._loop_of().call_later(self._bounds.idle, self._swept)


def _nothing(_session: Session) -> None:
    """Nobody listens any more."""
