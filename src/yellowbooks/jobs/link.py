"""The way to Valkey: one client, calls that are never cut off, and one error where it is away."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from valkey.asyncio import Valkey
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import ValkeyError

from yellowbooks.jobs.verbs import VERBS

CONNECT_SECONDS = 5.0
REPLY_SECONDS = 10.0  # a server that is silent for longer is taken for lost
RECONNECT_SECONDS = 0.05

R = TypeVar("R")


class QueueUnavailable(ConnectionError):
    """The queue cannot be reached or refuses to write; nothing is known of the call's outcome."""


class Link:
    """A client of the server at `url`, or one that is given, for the keys under `tag`.

    Every method raises `QueueUnavailable` where the server is away, and `asyncio.CancelledError` never reaches a
    command in flight.
    """

    def __init__(self, url: str | Any, tag: str) -> None:
        self.client: Any = url
        if isinstance(url, str):
            self.client = Valkey.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=REPLY_SECONDS)
        self.tag = tag

    async def run(self, verb: str, payloads: Sequence[bytes] = (), **args: Any) -> tuple[Any, Sequence[bytes]]:
        """One transition; gives its answer and what came beside it."""
        return await self.reach(lambda: VERBS[verb](self.client, self.tag, payloads, **args))

    async def call(self, verb: str, **args: Any) -> Any:
        """One transition; gives its answer."""
        return (await self.run(verb, **args))[0]

    async def reach(self, command: Callable[[], Awaitable[R]]) -> R:
        """Any command of the client."""
        task = asyncio.ensure_future(_twice(command))
        task.add_done_callback(_retrieve)
        try:
            return await asyncio.shield(task)
        except (ValkeyError, OSError) as error:
            raise QueueUnavailable(f"the queue is away or refuses ({error}); start Valkey or see its log") from error

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()


async def _twice(command: Callable[[], Awaitable[R]]) -> R:
    """Every script answers a repeated call alike, so a connection that is found dead may be tried once more."""
    try:
        return await command()
    except ValkeyConnectionError:
        await asyncio.sleep(RECONNECT_SECONDS)
        return await command()


def _retrieve(task: asyncio.Task[R]) -> None:
    """A caller who was cancelled does not ask for the exception; without this the loop complains of it."""
    if not task.cancelled():
        task.exception()
