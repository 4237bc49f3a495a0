"""The way to Valkey: connections that each have one caller at a time, and one error where it is away."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import ResponseError, ValkeyError
from valkey.exceptions import TimeoutError as ReplyTimeout

from yellowbooks.jobs.servers import REPLY_SECONDS, is_elsewhere, open_client
from yellowbooks.jobs.verbs import VERBS

RECONNECT_SECONDS = 0.05
AGAIN_SECONDS = 0.1
REPLICA_SECONDS = 1.0  # what replicas get to take a promise over
PROMISES = frozenset({"name", "admit", "commit", "requeue", "edit", "restore", "cancel", "discard", "shred", "lock"})
"""Verbs whose answer somebody builds on: with `replicas` they are answered when those have them too."""

R = TypeVar("R")
Command = Sequence[str | int | float | bytes]


class QueueUnavailable(ConnectionError):
    """The queue cannot be reached or refuses to write; nothing is known of the call's outcome."""


async def patiently(call: Callable[[], Awaitable[R]], seconds: float) -> R:
    """The same call again while the queue is away, for so long. Raises `QueueUnavailable`."""
    until = time.monotonic() + seconds
    while True:
        try:
            return await call()
        except QueueUnavailable:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(AGAIN_SECONDS)


class TooFewReplicas(ValkeyError):
    """The server did it, and too few replicas have it: a failover could lose it."""


class Wire:
    """Sends one command over one of the client's connections, without the client's pool and retries around it.

    A caller that is cancelled takes its connection with it: a reply that nobody read would be the next one's.
    """

    def __init__(self, client: Any) -> None:
        self._pool = client.connection_pool
        self._free: list[Any] = []

    async def execute_command(self, *command: str | int | float | bytes) -> Any:
        """The reply. Raises the client's errors."""
        [reply] = await self._exchange(command)
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    async def execute_both(self, first: Command, second: Command) -> tuple[Any, Any]:
        """Two replies over one connection, the commands sent together. Raises the client's errors."""
        replies = await self._exchange(first, second)
        for reply in replies:
            if isinstance(reply, ResponseError):
                raise reply
        return replies[0], replies[1]

    async def _exchange(self, *commands: Command) -> list[Any]:
        connection = self._free.pop() if self._free else self._pool.make_connection()
        # Its own time-out would send from a task of its own: a turn of the loop later, which may be a long one.
        connection.socket_timeout = None
        try:
            async with asyncio.timeout(REPLY_SECONDS):
                if not connection.is_connected:
                    await connection.connect()
                one = len(commands) == 1
                packed = connection.pack_command(*commands[0]) if one else connection.pack_commands(commands)
                await connection.send_packed_command(packed, check_health=False)
                replies = [await _reply(connection) for _ in commands]
        except TimeoutError:
            await connection.disconnect(nowait=True)
            raise ReplyTimeout(f"no reply within {REPLY_SECONDS:.0f} s") from None
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._free.append(connection)
        return replies

    async def aclose(self) -> None:
        """Close the connections that are free."""
        while self._free:
            await self._free.pop().disconnect(nowait=True)


async def _reply(connection: Any) -> Any:
    """A reply, or the server's error."""
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


class Guard:
    """A wire whose commands are answered when so many replicas have what they wrote. (Valkey: WAIT.)"""

    def __init__(self, wire: Wire, replicas: int) -> None:
        self._wire = wire
        self._replicas = replicas

    async def execute_command(self, *command: str | int | float | bytes) -> Any:
        """The reply. Raises the client's errors, and `TooFewReplicas`: it was done, and may be lost."""
        wait = ("WAIT", self._replicas, round(REPLICA_SECONDS * 1000))
        reply, reached = await self._wire.execute_both(command, wait)
        if reached < self._replicas:
            raise TooFewReplicas(f"{reached} of {self._replicas} replicas have it after {REPLICA_SECONDS:.0f} s")
        return reply


class Link:
    """A client of the server at `url`, or one that is given, for the keys under `tag`.

    `replicas` is how many must have a promise before it is one. `before` is awaited before the first command, until
    it returns. Every method raises `QueueUnavailable` where the server is away.
    """

    def __init__(self, url: str | Any, tag: str, replicas: int = 0) -> None:
        self.client: Any = url
        self.wire: Any = url
        self.guarded: Any = url
        if isinstance(url, str):
            self.client = open_client(url, tag)
            self.wire = Wire(self.client)
            self.guarded = Guard(self.wire, replicas) if replicas else self.wire
        self.tag = tag
        self.before: Callable[[], Awaitable[None]] | None = None

    async def run(self, verb: str, payloads: Sequence[bytes] = (), **args: Any) -> tuple[Any, Sequence[bytes]]:
        """One transition; gives its answer and what came beside it."""
        wire = self.guarded if verb in PROMISES else self.wire
        return await self.reach(lambda: VERBS[verb](wire, self.tag, payloads, **args))

    async def call(self, verb: str, **args: Any) -> Any:
        """One transition; gives its answer."""
        return (await self.run(verb, **args))[0]

    async def execute(self, *command: str | int | float | bytes) -> Any:
        """One command, with its keys as they are; gives the reply."""
        return await self.reach(lambda: self.wire.execute_command(*command))

    async def reach(self, command: Callable[[], Awaitable[R]]) -> R:
        """Any command. Every script answers a repeated call alike, so one whose connection broke is tried once more.

        So is one that came to a server that is not the primary any more; its successor is looked for.
        """
        try:
            if self.before:
                await self.before()
                self.before = None
            try:
                return await command()
            except (ValkeyConnectionError, ResponseError) as error:
                if not await self._left(error):
                    raise
                await asyncio.sleep(RECONNECT_SECONDS)
                return await command()
        except QueueUnavailable:
            raise
        except (ValkeyError, OSError) as error:
            await self._left(error)
            raise QueueUnavailable(f"the queue is away or refuses ({error}); start Valkey or see its log") from error

    async def _left(self, error: Exception) -> bool:
        """Whether another connection may do better; then the free ones, which lead to the same server, are closed."""
        if self.wire is self.client or (isinstance(error, ResponseError) and not is_elsewhere(error)):
            return isinstance(error, ValkeyConnectionError)
        if not isinstance(error, TooFewReplicas):
            await self.forget()
        return True

    async def forget(self) -> None:
        """Close the connections that nobody uses now, so that the next ones look for the server anew."""
        await self.wire.aclose()
        await self.client.connection_pool.disconnect(inuse_connections=False)

    async def close(self) -> None:
        """Close the connections."""
        if self.wire is not self.client:
            await self.wire.aclose()
        await self.client.aclose()
