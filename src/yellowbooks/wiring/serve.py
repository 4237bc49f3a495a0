"""Serves the API over HTTP, and stops it so that no request fails."""

import asyncio
import math
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import uvicorn

from yellowbooks.edge import Connection
from yellowbooks.observe import Tell
from yellowbooks.wiring.edge import Edge

LATE_SECONDS = 0.2  # what a connection that was just accepted gets to say what it wants
Says = Callable[[], bool]
BACKLOG = 4096  # connections that the system keeps until they are accepted
CLOSE = (b"connection", b"close")


class Draining(uvicorn.Server):
    """Told to stop, it goes on answering for `drain` seconds, while /readyz says 503; told twice, it stops at once.

    Each answer of that time closes its connection, so that a client that keeps connections alive finds out from an
    answer and not from a reset. (RFC 9112, section 9.6.)
    """

    def __init__(self, config: uvicorn.Config, edge: Edge, drain: float, tell: Tell, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._edge = edge
        self._ready = ready
        self._drain = drain
        self._tell = tell
        self._until = math.inf

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say that it is ready."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    def draining(self) -> bool:
        """Whether it was told to stop."""
        return self._until < math.inf

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal to stop."""
        if self._drain and not self.draining():
            self._until = time.monotonic() + self._drain
            self._tell("draining", seconds=self._drain)
            return
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Whether it is time to stop; who is late is told so."""
        self._edge.tick(time.monotonic())
        return await super().on_tick(counter) or time.monotonic() >= self._until

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody any more; whoever was accepted gets an answer."""
        self.should_exit = True
        for server in self.servers:
            server.close()
        if self._drain:
            await asyncio.sleep(LATE_SECONDS)
        await super().shutdown(sockets)


def closing(app: Any, draining: Says) -> Any:
    """An ASGI application whose answers close their connections while it drains."""

    async def run(scope: Any, receive: Any, send: Any) -> None:
        async def last(message: Any) -> None:
            if message["type"] == "http.response.start" and draining():
                message = {**message, "headers": [*message.get("headers", ()), CLOSE]}
            await send(message)

        await app(scope, receive, last if scope["type"] == "http" else send)

    return run


def serve(
    make_app: Callable[[Says, Says], Any],
    listener: socket.socket,
    edge: Edge,
    drain: float,
    tell: Tell,
    ready: Callable[[], None],
) -> None:
    """Serve on a bound socket until a signal, and `drain` seconds longer; `make_app` may ask: stopping? draining?"""

    def app() -> Any:
        return closing(edge.before(make_app(lambda: server.should_exit, server.draining)), server.draining)

    config = uvicorn.Config(
        app, factory=True, log_config=None, access_log=False, server_header=False, date_header=True, backlog=BACKLOG,
        timeout_graceful_shutdown=3, loop="uvloop", ws="none",
        lifespan="on", proxy_headers=False,
        http=partial(Connection, crowd=edge.crowd),  # type: ignore[arg-type]  # makes a connection, as the class does
    )  # fmt: skip
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises the signal again when it is done: end with 0
    server = Draining(config, edge, drain, tell, ready)
    server.run(sockets=[listener])
