"""Who gets no mail, and why: a list beside the queue, shared by all workers. It holds keyed hashes and no address."""

import asyncio
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec

from yellowbooks.mail.identity import fold

Execute = Callable[..., Awaitable[Any]]
"""Runs one command at Valkey; raises `ConnectionError` where it is away."""

DAY = 86_400.0
HARD_SECONDS = 30 * DAY
SOFT_SECONDS = 7 * DAY
STRIKES = 3
STRIKE_SECONDS = 7 * DAY  # how long a strike counts
FRESH_SECONDS = 1.0  # how old what a worker knows of the list may be
MOST_KNOWN = 200_000  # addresses that a worker keeps in memory; with more of them it asks for each mail

# One address's entry is replaced where it is still the one that was read; the field «» counts the changes.
_REPLACE = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1]) else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
redis.call('HINCRBY', KEYS[1], '', 1)
return 1
"""


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one address stands. Times are seconds since 1970; `until` is 0 where it gets mail.

    `strikes` are by what was refused, so that a report that comes twice is one strike.
    """

    cause: Literal["hard", "soft", "operator", ""] = ""
    reason: str = ""
    since: float = 0.0
    until: float = 0.0
    strikes: Mapping[str, float] = {}

    def suppressed(self, now: float) -> bool:
        """Whether it gets no mail now."""
        return self.until > now

    def over(self, now: float) -> bool:
        """Whether it says nothing any more."""
        return not self.suppressed(now) and not _recent(self, now)


Change = Callable[[Standing, float], Standing]


def hard(reason: str) -> Change:
    """The address does not exist, or is closed: no mail for 30 days, beginning anew with each such answer."""
    return lambda _standing, now: Standing(cause="hard", reason=reason, since=now, until=now + HARD_SECONDS)


def by_operator(reason: str, seconds: float) -> Change:
    """An operator wants it."""
    return lambda _standing, now: Standing(cause="operator", reason=reason, since=now, until=now + seconds)


def struck(mark: str, reason: str) -> Change:
    """The address takes nothing at present: the third time within 7 days it gets no mail for 7 days."""

    def change(standing: Standing, now: float) -> Standing:
        if standing.suppressed(now):
            return standing
        strikes = {**_recent(standing, now), mark: standing.strikes.get(mark, now)}
        if len(strikes) < STRIKES:
            return Standing(reason=reason, since=now, strikes=strikes)
        return Standing(cause="soft", reason=reason, since=now, until=now + SOFT_SECONDS)

    return change


def delivered(standing: Standing, now: float) -> Standing:
    """A server took a mail: what servers said before is past. A bounce comes after a server's yes, so it stays."""
    if standing.suppressed(now):
        return standing
    strikes = {mark: at for mark, at in _recent(standing, now).items() if mark.startswith(BOUNCE)}
    return Standing(reason=standing.reason, since=standing.since, strikes=strikes) if strikes else GOOD


def worded(reason: str) -> Change:
    """As it stands, for another reason."""
    return lambda standing, _now: standing if standing == GOOD else msgspec.structs.replace(standing, reason=reason)


def lifted(_standing: Standing, _now: float) -> Standing:
    """As if nothing had been."""
    return GOOD


def forgotten(standing: Standing, now: float) -> Standing:
    """What is over is dropped."""
    return GOOD if standing.over(now) else standing


def _recent(standing: Standing, now: float) -> dict[str, float]:
    return {mark: at for mark, at in standing.strikes.items() if now - at < STRIKE_SECONDS}


BOUNCE = "bounce "
GOOD = Standing()


class SuppressionList:
    """The list at Valkey. An address stands in it as an HMAC with `secret`; `name` tells lists on one server apart.

    What senders call (`suppressed`, `suppress`, `strike`, `delivered`) never raises: where Valkey is away mails go
    out, as an alert too many does less harm than one too few. What operators call raises `ConnectionError`.
    """

    def __init__(self, execute: Execute, secret: bytes, *, name: str = "mail", clock: Callable[[], float] = time.time):
        self._execute = execute
        self._secret = secret
        self._key = f"{{yb:{name}}}:standings"
        self._clock = clock
        self._known: frozenset[bytes] | None = frozenset()
        self._version: bytes | None = b"-"
        self._checked = -FRESH_SECONDS
        self._refreshing = asyncio.Lock()

    def ref(self, address: str) -> str:
        """How an address is named in the list: 24 hexadecimal digits."""
        return hmac.digest(self._secret, fold(address).encode(), "sha256").hex()[:24]

    async def suppressed(self, address: str) -> str | None:
        """Why this address gets no mail and what to do about it, or None where it gets some."""
        ref = self.ref(address)
        try:
            if not await self._may_know(ref):
                return None
            standing, _ = await self._read(ref)
        except ConnectionError:
            return None
        if not standing.suppressed(self._clock()):
            return None
        until = time.strftime("%Y-%m-%d", time.gmtime(standing.until))
        return (
            f"{standing.reason} (suppressed until {until}); when it is mended: "
            f"yellowbooks mail suppression lift {ref}, then requeue this job"
        )

    async def suppress(self, address: str, reason: str) -> None:
        """There is no such recipient."""
        await self._try(address, hard(reason))

    async def strike(self, address: str, reason: str) -> None:
        """The recipient takes nothing at present."""
        await self._try(address, struck(f"reply {secrets.token_hex(4)}", reason))

    async def delivered(self, address: str) -> None:
        """A server took a mail for this address."""
        try:
            known = await self._may_know(self.ref(address))
        except ConnectionError:
            return
        if known:
            await self._try(address, delivered)

    async def change(self, ref: str, change: Change) -> tuple[Standing, Standing]:
        """Apply a change; what stood before and what stands now. Raises `ConnectionError`."""
        while True:
            before, stored = await self._read(ref)
            after = change(before, self._clock())
            body = b"" if after == GOOD else msgspec.json.encode(after)
            if body == stored or await self._execute("EVAL", _REPLACE, 1, self._key, ref, stored, body):
                self._checked = -FRESH_SECONDS
                return before, after

    async def show(self, ref: str) -> Standing:
        """How an address stands. Raises `ConnectionError`."""
        return (await self._read(ref))[0]

    async def entries(self) -> list[tuple[str, Standing]]:
        """Who is suppressed or has strikes, newest first; what is over is forgotten. Raises `ConnectionError`."""
        now = self._clock()
        stored = await self._execute("HGETALL", self._key)
        fields = stored if isinstance(stored, Mapping) else dict(zip(stored[::2], stored[1::2], strict=True))
        found = [(field.decode(), _standing(body)) for field, body in fields.items() if field]
        for ref in [ref for ref, standing in found if standing.over(now)]:
            await self.change(ref, forgotten)
        found = [(ref, standing) for ref, standing in found if not standing.over(now)]
        return sorted(found, key=lambda pair: -pair[1].since)

    async def _read(self, ref: str) -> tuple[Standing, bytes]:
        stored = await self._execute("HGET", self._key, ref) or b""
        return _standing(stored), stored

    async def _try(self, address: str, change: Change) -> None:
        try:
            await self.change(self.ref(address), change)
        except ConnectionError:
            return  # the next refusal says it again

    async def _may_know(self, ref: str) -> bool:
        """Whether the list may hold this address: nearly none does, and so nearly no mail asks Valkey."""
        async with self._refreshing:
            if time.monotonic() - self._checked >= FRESH_SECONDS:
                await self._refresh()
        return self._known is None or ref.encode() in self._known

    async def _refresh(self) -> None:
        version = await self._execute("HGET", self._key, "")
        if version != self._version:
            few = int(await self._execute("HLEN", self._key)) <= MOST_KNOWN
            self._known = frozenset(await self._execute("HKEYS", self._key)) if few else None
            self._version = version
        self._checked = time.monotonic()


def _standing(stored: bytes) -> Standing:
    try:
        return msgspec.json.decode(stored, type=Standing) if stored else GOOD
    except msgspec.DecodeError:  # of a version that is not ours: as if it were not there
        return GOOD
