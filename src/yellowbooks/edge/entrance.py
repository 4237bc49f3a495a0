"""What a whole request passes before the API sees it: rates, its coding, and its place in a line."""

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from yellowbooks.edge.address import counted, sender
from yellowbooks.edge.crowd import PROBES
from yellowbooks.edge.line import Line
from yellowbooks.edge.rates import Known, Rates
from yellowbooks.edge.refusal import Refusal

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]

BUSY = Refusal("busy", 503, "too many requests at once; send the request again in 2 s", 2)
STREAMS = Refusal("streams", 503, "too many readers of live events; close a page, or try again in 10 s", 10)
CODED = Refusal(
    "coded", 415, "the body is compressed, which is not read here; send it as it is, without Content-Encoding"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What requests may cost. A rate is so many in so many seconds; `key` and `address` may have none.

    `room` is how many are at work at once that enqueue (their path begins with one of `urgent`), and again of all
    others, so that a slow page keeps no job out. `requests` bounds those at work and in line together; in line a
    request waits for `patience` seconds. `streams` bounds answers that go on and on, which `live` names by their paths.
    `right_key` says of a scope that was answered whether its key was right.
    """

    requests: int = 20_000
    room: int = 100
    patience: float = 30.0
    streams: int = 100
    address: tuple[int, float] | None = None
    key: tuple[int, float] | None = None
    proxies: int = 0
    urgent: tuple[str, ...] = ("/api/jobs/", "/api/webhooks/")
    live: frozenset[str] = frozenset({"/api/events", "/inbox/events"})
    counted: Callable[[str], str] = counted
    right_key: Callable[[Mapping[str, Any]], bool] = lambda _scope: False


class Entrance:
    """An ASGI application before another one. `refused` hears each reason. Probes pass it whatever goes on."""

    def __init__(self, app: App, rules: Rules, refused: Callable[[str], None]) -> None:
        self._app, self._rules, self._refused = app, rules, refused
        self._addresses = Rates(*rules.address) if rules.address else None
        self._keys = Rates(*rules.key) if rules.key else None
        self._known = Known()
        self.urgent, self.other = Line(rules.room), Line(rules.room)
        self.streams = 0

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        authorization, peer = self._read(scope)
        if isinstance(authorization, Refusal):
            await self._refuse(authorization, send)
            return
        digest = self._known.digest(authorization) if authorization and (peer or self._keys is not None) else b""
        if refusal := self._too_often(peer, digest):
            await self._refuse(refusal, send)
            return
        await (self._stream if scope["path"] in self._rules.live else self._work)(scope, receive, send)
        if digest and self._rules.right_key(scope):
            self._known.learn(digest, time.monotonic())

    def _read(self, scope: Scope) -> tuple[bytes | Refusal, str]:
        """The Authorization field, and what the sender's address is counted by."""
        authorization, forwarded = b"", []
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"x-forwarded-for":
                forwarded.append(value)
            elif name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
                return CODED, ""
        if self._addresses is None:
            return authorization, ""
        peer = scope["client"][0] if scope.get("client") else ""
        return authorization, self._rules.counted(sender(peer, forwarded, self._rules.proxies))

    def _too_often(self, address: str, digest: bytes) -> Refusal | None:
        """Whoever has a right key is counted by it; all others by their addresses."""
        now = time.monotonic()
        known = bool(digest) and self._known.has(digest, now)
        if known:
            wait = self._keys.take(digest, now) if self._keys is not None else 0.0
            return _slower("key_rate", "this key", wait) if wait else None
        wait = self._addresses.take(address, now) if address and self._addresses is not None else 0.0
        return _slower("address_rate", "this address", wait) if wait else None

    async def _work(self, scope: Scope, receive: Any, send: Send) -> None:
        urgent = scope["method"] == "POST" and scope["path"].startswith(self._rules.urgent)
        line = self.urgent if urgent else self.other
        at_once = self.urgent.working + self.urgent.waiting + self.other.working + self.other.waiting
        if at_once >= self._rules.requests or not await line.enter(self._rules.patience):
            await self._refuse(BUSY, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            line.leave()

    async def _stream(self, scope: Scope, receive: Any, send: Send) -> None:
        if self.streams >= self._rules.streams:
            await self._refuse(STREAMS, send)
            return
        self.streams += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self.streams -= 1

    async def _refuse(self, refusal: Refusal, send: Send) -> None:
        self._refused(refusal.reason)
        body = refusal.body()
        headers = [*refusal.headers(), (b"content-length", b"%d" % len(body))]
        if refusal is CODED:
            headers.append((b"accept-encoding", b"identity"))  # RFC 9110, sections 12.5.3 and 15.5.16
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _slower(reason: str, whose: str, wait: float) -> Refusal:
    seconds = max(1, ceil(wait))
    return Refusal(reason, 429, f"too many requests of {whose}; send it again in {seconds} s", seconds)
