"""The queue's own files: an AOF keeps what was deleted until it is written anew."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from yellowbooks.jobs import QueueUnavailable
from yellowbooks.privacy.person import NotYet

AGAIN_SECONDS = 0.1
Execute = Callable[..., Awaitable[Any]]
"""Runs one command at a server; raises `QueueUnavailable`."""


async def rewrite_files(ways: Sequence[Execute], patience: float) -> list[str]:
    """Have every server that one of the ways leads to write its file anew, and wait for it up to `patience` s: a line a
    server.

    Raises `NotYet`, with what to do, and `QueueUnavailable`.
    """
    lines: dict[str, str] = {}
    for way in ways:
        server = (await _info(way, "server"))["run_id"]
        if server not in lines:
            lines[server] = await _rewrite(way, time.monotonic() + patience)
    return list(lines.values())


async def _rewrite(way: Execute, until: float) -> str:
    """A rewrite that was under way before does not count: it began with what was taken since."""
    begun: int | None = None
    while True:
        state = await _info(way, "persistence")
        command, counted, status = (
            ("BGREWRITEAOF", "aof_rewrites", "aof_last_bgrewrite_status")
            if state["aof_enabled"] == "1"
            else ("BGSAVE", "rdb_saves", "rdb_last_bgsave_status")
        )
        count, busy = int(state[counted]), _is_busy(state)
        if begun is None:
            begun = count
        elif count > begun and not busy:
            if state[status] != "ok":
                raise NotYet(f"{command} failed, and the old file has what was taken; see the log of Valkey")
            return command
        if count == begun and not busy:
            await _begin(way, command)
        if time.monotonic() > until:
            raise NotYet(f"{command} still runs, and the old file has what was taken until it ends; run it again")
        await asyncio.sleep(AGAIN_SECONDS)


def _is_busy(state: dict[str, str]) -> bool:
    return "1" in (
        state[name] for name in ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "rdb_bgsave_in_progress")
    )


async def _begin(way: Execute, command: str) -> None:
    try:
        await way(command)
    except QueueUnavailable as error:
        if "in progress" in str(error):  # somebody else began one a moment ago
            return
        raise NotYet(
            f"the server's file has what was taken until it is written anew, and {command} is not ours to give "
            f"({error.__cause__}); whoever may: valkey-cli {command}, on the server and on each replica"
        ) from error


async def _info(way: Execute, section: str) -> dict[str, str]:
    """What `INFO` says of a section."""
    text = await way("INFO", section)
    lines = (text.decode() if isinstance(text, bytes) else str(text)).splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)
