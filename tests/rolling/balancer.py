"""A load balancer of the smallest kind: connections go round by round to those whose /readyz says 200."""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType

PERIOD_SECONDS = 0.1  # between two questions to one API
PATIENCE_SECONDS = 2.0  # what an answer to /readyz may take
QUESTION = b"GET /readyz HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n"


class Balancer:
    """Balances by connection, as a layer-4 load balancer or a Kubernetes service does; it repeats no request.

    `late` counts connections that an API refused which was still thought to be ready.
    """

    def __init__(self, ports: Sequence[int]) -> None:
        self._ready = dict.fromkeys(ports, False)
        self._turn = 0
        self._pumps: set[asyncio.Task[None]] = set()
        self.late = 0
        self.port = 0

    async def __aenter__(self) -> "Balancer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._askers = [asyncio.create_task(self._ask(port)) for port in self._ready]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        tasks = [*self._askers, *self._pumps]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._server.close()

    def ready(self, port: int) -> bool:
        """Whether it sends connections there."""
        return self._ready[port]

    async def _ask(self, port: int) -> None:
        while True:
            line = b""
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(PATIENCE_SECONDS):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    try:
                        writer.write(QUESTION)
                        line = await reader.readline()
                    finally:
                        writer.close()
            self._ready[port] = line.startswith(b"HTTP/1.1 200")
            await asyncio.sleep(PERIOD_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(1000):
            ports = [port for port, ready in self._ready.items() if ready]
            self._turn += 1
            if ports:
                try:
                    theirs = await asyncio.open_connection("127.0.0.1", ports[self._turn % len(ports)])
                    break
                except OSError:
                    self.late += 1
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
        for source, target in ((reader, theirs[1]), (theirs[0], writer)):
            task = asyncio.create_task(_pump(source, target))
            self._pumps.add(task)
            task.add_done_callback(self._pumps.discard)


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """What one side says to the other, its end too."""
    try:
        while chunk := await source.read(65_536):
            target.write(chunk)
            await target.drain()
    except OSError:
        pass
    finally:
        target.close()
