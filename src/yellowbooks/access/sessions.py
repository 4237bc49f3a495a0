"""Sessions of browsers: a random token there, its hash here. Kept beside the queue, so that every API knows them."""

import asyncio
import hashlib
import secrets
import time
from collections.abc import Callable

import msgspec

from yellowbooks.access.key import Secrets
from yellowbooks.access.store import Execute

IDLE_SECONDS = 1800.0  # without a request a session ends (OWASP ASVS 5.0, 7.3.1)
WHOLE_SECONDS = 12 * 3600.0  # and in the end, whatever is done (7.3.2)
SEEN_SECONDS = 60.0  # how coarsely the last request is kept
PATIENCE_SECONDS = 1.0
REMEMBERED = 1000  # sessions that one API knows while the store is away
TOKEN_LENGTH = 43  # characters of 256 random bits


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed in: by which key (the id of an issued one, or a mark of one of the settings), called what. Times are
    seconds since 1970."""

    key: str
    name: str
    began: float
    seen: float

    def over(self, now: float) -> bool:
        """Whether it has ended by itself."""
        return now >= self.seen + IDLE_SECONDS or now >= self.began + WHOLE_SECONDS

    def left(self, now: float) -> float:
        """Seconds until it ends by itself, where no request comes."""
        return min(self.seen + IDLE_SECONDS, self.began + WHOLE_SECONDS) - now


class _Kept(msgspec.Struct):
    """A session as it is kept: with a keyed hash, so that who writes the store makes none."""

    text: bytes
    mark: str


class Sessions:
    """Begins, finds and ends sessions. `away` says whether the store is known not to answer: then, and where it does
    not, an API knows the sessions that it knew, and those that begin there."""

    def __init__(
        self, execute: Execute, known: Secrets, away: Callable[[], bool], tag: str = "{yb:keys}",
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._execute, self._secrets, self._away, self._tag, self._clock = execute, known, away, tag, clock
        self._known: dict[str, Session] = {}
        self._ended: set[str] = set()
        self._unkept: set[str] = set()

    async def begin(self, key: str, name: str) -> str:
        """A new session; gives its token."""
        token, now = secrets.token_urlsafe(32), self._clock()
        await self._keep(_place(token), Session(key=key, name=name, began=now, seen=now))
        return token

    async def find(self, token: str) -> Session | None:
        """The session of a token, which a request brought now; None where it has ended or never was."""
        place, now = _place(token), self._clock()
        if len(token) != TOKEN_LENGTH or place in self._ended:
            return None
        found = await self._look(place)
        if found is None or found.over(now):
            self._known.pop(place, None)
            self._unkept.discard(place)
            return None
        if now - found.seen > SEEN_SECONDS or place in self._unkept:
            found = msgspec.structs.replace(found, seen=now)
            await self._keep(place, found, again=place not in self._unkept)
        self._remember(place, found)
        return found

    async def end(self, token: str) -> None:
        """Somebody signed out."""
        place = _place(token)
        self._known.pop(place, None)
        self._unkept.discard(place)
        self._ended.add(place)
        await self._forget()

    def mark(self, key: bytes) -> str:
        """What a session keeps of a key of the settings; it does not give it away."""
        return self._secrets.mark(b"key\0" + key)

    def marked(self, key: bytes, mark: str) -> bool:
        """Whether a mark is of this key."""
        return self._secrets.marked(b"key\0" + key, mark)

    # Inside

    async def _look(self, place: str) -> Session | None:
        if self._away():
            return self._known.get(place)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                kept: bytes | None = await self._execute("GET", self._key(place))
        except (ConnectionError, TimeoutError):
            return self._known.get(place)
        if self._ended:
            await self._forget()  # while the store was away, it did not hear of these
        if not kept and place in self._unkept:  # it began while the store was away
            return self._known.get(place)
        return self._read(place, kept) if kept else None

    async def _keep(self, place: str, session: Session, *, again: bool = False) -> None:
        """`again`: only where it is kept, so that one that was ended at another API stays ended."""
        self._remember(place, session)
        if not again:
            self._unkept.add(place)
        if self._away():
            return
        text = msgspec.json.encode(session)
        kept = msgspec.json.encode(_Kept(text, self._secrets.mark(_about(place, text))))
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                left = max(1, round(session.left(self._clock()) * 1000))
                only = ("XX",) if again else ()
                await self._execute("SET", self._key(place), kept, "PX", left, *only)
                self._unkept.discard(place)
        except (ConnectionError, TimeoutError):
            return  # this API knows it meanwhile

    async def _forget(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                for place in [*self._ended]:
                    await self._execute("DEL", self._key(place))
                    self._ended.discard(place)
        except (ConnectionError, TimeoutError):
            return

    def _remember(self, place: str, session: Session) -> None:
        self._known.pop(place, None)
        self._known[place] = session
        if len(self._known) > REMEMBERED:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._unkept.discard(oldest)

    def _read(self, place: str, kept: bytes) -> Session | None:
        try:
            found = msgspec.json.decode(kept, type=_Kept)
            if not self._secrets.marked(_about(place, found.text), found.mark):
                return None
            return msgspec.json.decode(found.text, type=Session)
        except msgspec.MsgspecError:
            return None

    def _key(self, place: str) -> str:
        return f"{self._tag}:session:{place}"


def _place(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _about(place: str, text: bytes) -> bytes:
    return b"session\0" + place.encode() + b"\0" + text
