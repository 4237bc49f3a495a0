"""The way to Valkey: connections that each have one caller at a time, and one error where it is away."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from valkey.asyncio import Valkey
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import ResponseError, ValkeyError

from yellowbooks.jobs.verbs import VERBS

CONNECT_SECONDS = 5.0
REPLY_SECONDS = 10.0  # a server that is silent for longer is taken for lost
RECONNECT_SECONDS = 0.05

R = TypeVar("R")


class QueueUnavailable(ConnectionError):
    """The queue cannot be reached or refuses to write; nothing is known of the call's outcome."""


class Wire:
    """Sends one command over one of the client's connections, without the client's pool and retries around it.

    A caller that is cancelled takes its connection with it: a reply that nobody read would be the next one's.
    """

    def __init__(self, client: Any) -> None:
        self._pool = client.connection_pool
        self._free: list[Any] = []

    async def execute_command(self, *command: str | int | float | bytes) -> Any:
        """The reply. Raises the client's errors."""
        connection = self._free.pop() if self._free else self._pool.make_connection()
        try:
            if not connection.is_connected:
                await connection.connect()
            await connection.send_packed_command(connection.pack_command(*command), check_health=False)
            reply = await connection.read_response()
        except ResponseError:
            self._free.append(connection)
            raise
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._free.append(connection)
        return reply

    async def aclose(self) -> None:
        """Close the connections."""
        while self._free:
            await self._free.pop().disconnect(nowait=True)


class Link:
    """A client of the server at `url`, or one that is given, for the keys under `tag`.

    Every method raises `QueueUnavailable` where the server is away.
    """

    def __init__(self, url: str | Any, tag: str) -> None:
        self.client: Any = url
        self.wire: Any = url
        if isinstance(url, str):
            self.client = Valkey.from_url(url, socket_connect_timeout=CONNECT_SECONDS, socket_timeout=REPLY_SECONDS)
            self.wire = Wire(self.client)
        self.tag = tag

    async def run(self, verb: str, payloads: Sequence[bytes] = (), **args: Any) -> tuple[Any, Sequence[bytes]]:
        """One transition; gives its answer and what came beside it."""
        return await self.reach(lambda: VERBS[verb](self.wire, self.tag, payloads, **args))

    async def call(self, verb: str, **args: Any) -> Any:
        """One transition; gives its answer."""
        return (await self.run(verb, **args))[0]

    async def reach(self, command: Callable[[], Awaitable[R]]) -> R:
        """Any command. Every script answers a repeated call alike, so one whose connection broke is tried once more."""
        try:
            try:
                return await command()
            except ValkeyConnectionError:
                await asyncio.sleep(RECONNECT_SECONDS)
                return await command()
        except (ValkeyError, OSError) as error:
            raise QueueUnavailable(f"the queue is away or refuses ({error}); start Valkey or see its log") from error

    async def close(self) -> None:
        """Close the connections."""
        if self.wire is not self.client:
            await self.wire.aclose()
        await self.client.aclose()
