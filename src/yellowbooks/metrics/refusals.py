"""Admissions that were refused: no event tells of them, so each API process counts and adds to the whole."""

import asyncio
import contextlib
from collections import Counter

from yellowbooks.jobs import Queue, QueueUnavailable, parts_of
from yellowbooks.metrics.store import Store

REASONS = ("duplicate", "limited", "full", "invalid", "unauthorized", "too_large", "unavailable", "failed")
DENIALS = (
    "no_key",
    "unknown",
    "revoked",
    "expired",
    "secret",
    "scope",
    "away",
    "csrf",
    "throttled",
    "signature",
    "host",
)
TURNED_AWAY = (
    "malformed", "late", "head_too_large", "body_too_large", "pipelined", "unread", "coded", "crowded", "busy",
    "streams", "address_connections", "address_rate", "key_rate",
)  # fmt: skip
ADD_SECONDS = 1.0
AGAIN_SECONDS = 5.0


class Refusals:
    """Counts in memory, and adds what it has to the counts beside the queue within a second; call it from the loop."""

    def __init__(self, queue: Queue) -> None:
        self._store = Store(parts_of(queue)[0])
        self._counts: Counter[str] = Counter()
        self._adding: asyncio.Task[None] | None = None

    def __call__(self, kind: str, reason: str) -> None:
        """One admission was refused; `reason` is one of `REASONS`."""
        self._count(f"x|{kind}|{reason}")

    def denied(self, why: str) -> None:
        """Somebody was not let in; `why` is one of `DENIALS`."""
        self._count(f"d|{why}")

    def turned_away(self, why: str) -> None:
        """A request or a connection was refused before the API saw it; `why` is one of `TURNED_AWAY`."""
        self._count(f"t|{why}")

    def _count(self, field: str) -> None:
        self._counts[field] += 1
        if self._adding is None or self._adding.done():
            self._adding = asyncio.create_task(self._soon())

    async def aclose(self) -> None:
        """Add what is left."""
        if self._adding:
            self._adding.cancel()
        with contextlib.suppress(QueueUnavailable):
            await self.add()

    async def add(self) -> None:
        """Add what was counted. Raises `QueueUnavailable`; it is then kept."""
        counts, self._counts = self._counts, Counter()
        if counts:
            try:
                await self._store.bump(counts)
            except QueueUnavailable:
                self._counts.update(counts)
                raise

    async def _soon(self) -> None:
        pause = ADD_SECONDS
        while self._counts:
            await asyncio.sleep(pause)
            try:
                await self.add()
            except QueueUnavailable:
                pause = AGAIN_SECONDS
