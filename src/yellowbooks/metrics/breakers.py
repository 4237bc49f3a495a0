"""Which SMTP servers the workers leave alone now: each worker says so beside the queue, and again while it lasts."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

Execute = Callable[..., Awaitable[Any]]
"""Runs one command at Valkey; raises `ConnectionError` where it is away."""

KEY = "{yb:mail}:breakers"  # hash: worker and server -> until when (s since 1970) this counts
LASTS_SECONDS = 60.0
AGAIN_SECONDS = 15.0


class Breakers:
    """Hears what a mailer tells, and keeps its open breakers known. `worker` names this process."""

    def __init__(self, execute: Execute, worker: str) -> None:
        self._execute = execute
        self._worker = worker
        self._open: set[str] = set()
        self._closed: set[str] = set()
        self._saying: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    def hear(self, word: str, **fields: Any) -> None:
        """What a part tells; only breakers concern us. Call it from the event loop."""
        server = str(fields.get("server", ""))
        if word in ("smtp_down", "smtp_misconfigured"):
            self._open.add(server)
            self._closed.discard(server)
        elif word == "smtp_back":
            self._open.discard(server)
            self._closed.add(server)
        else:
            return
        self._changed.set()
        if self._saying is None or self._saying.done():
            self._saying = asyncio.create_task(self._say())

    async def aclose(self) -> None:
        """This worker ends, and its breakers with it."""
        if self._saying:
            self._saying.cancel()
        self._closed |= self._open
        self._open.clear()
        with contextlib.suppress(ConnectionError):
            await self._write()

    async def _say(self) -> None:
        while self._open or self._closed:
            self._changed.clear()
            with contextlib.suppress(ConnectionError):
                await self._write()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), AGAIN_SECONDS)

    async def _write(self) -> None:
        for server in list(self._closed):
            await self._execute("HDEL", KEY, f"{self._worker}|{server}")
            self._closed.discard(server)
        for server in list(self._open):
            await self._execute("HSET", KEY, f"{self._worker}|{server}", f"{time.time() + LASTS_SECONDS:.0f}")


async def open_breakers(execute: Execute) -> "Counter[str]":
    """How many workers leave each server alone. Raises `ConnectionError`."""
    pairs = await execute("HGETALL", KEY)
    found = pairs if isinstance(pairs, dict) else dict(zip(pairs[::2], pairs[1::2], strict=True))
    counts: Counter[str] = Counter()
    for field, until in found.items():
        if float(until) > time.time():
            counts[field.decode().partition("|")[2]] += 1
        elif float(until) < time.time() - LASTS_SECONDS:
            await execute("HDEL", KEY, field)  # its worker was killed
    return counts
