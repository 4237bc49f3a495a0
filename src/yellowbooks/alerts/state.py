"""What has been told: beside the queue for all processes; and of a queue that is away, in a file for this machine."""

import fcntl
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

Execute = Callable[..., Awaitable[Any]]
"""Runs one command at Valkey; raises `ConnectionError` where it is away."""

KEY = "{yb:alerts}:state"

# Writes where nobody with a newer fencing token has written.
_SAVE = """#!lua flags=allow-oom
local token = tonumber(redis.call('HGET', KEYS[1], 'token') or 0)
if token > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'alerts', ARGV[2])
return 1
"""


class Alert(msgspec.Struct):
    """One trouble: since when, whether it was told, and since when it is over (seconds since 1970; 0: it is not)."""

    since: float
    text: str
    told: bool = False
    calm: float = 0.0


class Fenced(Exception):
    """Another process has the seat, and has written since."""


class State:
    """The alerts of the whole system. Every method raises `ConnectionError` where the queue is away."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    async def load(self) -> dict[str, Alert]:
        """The alerts by name."""
        stored = await self._execute("HGET", KEY, "alerts")
        return msgspec.json.decode(stored, type=dict[str, Alert]) if stored else {}

    async def save(self, token: int, alerts: dict[str, Alert]) -> None:
        """Keep them. Raises `Fenced`."""
        if not await self._execute("EVAL", _SAVE, 1, KEY, token, msgspec.json.encode(alerts)):
            raise Fenced


class AwayNote:
    """A file that says whether «the queue is away» was told on this machine; one process at a time looks at it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else on this machine is here. Raises `OSError`."""
        with self._path.with_suffix(".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def since(self) -> float:
        """Since when (s since 1970) it is told that the queue is away; 0: it is not."""
        try:
            return float(json.loads(self._path.read_text("utf-8"))["since"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0.0

    def write(self) -> None:
        """It is told."""
        self._path.write_text(json.dumps({"since": time.time()}), "utf-8")

    def remove(self) -> None:
        """It is over."""
        self._path.unlink(missing_ok=True)
