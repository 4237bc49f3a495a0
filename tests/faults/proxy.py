"""A TCP proxy that does to a connection what networks do: cut it, hold one direction up, lose a reply."""

import asyncio
import contextlib
from collections.abc import Callable


class Proxy:
    """Listens on 127.0.0.1 and forwards to a Unix socket, `path`, until told otherwise; it may be changed.

    `to_server` and `to_client` are open gates: a cleared one holds up that direction. `lose` is asked about every
    reply; where it says so, the reply is dropped and the connection cut.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.to_server, self.to_client = asyncio.Event(), asyncio.Event()
        self.to_server.set()
        self.to_client.set()
        self.lose: Callable[[bytes], bool] = lambda _request: False
        self.fired = 0
        self.url = ""
        self.port = 0
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"valkey://127.0.0.1:{self.port}"
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.to_server.set()
        self.to_client.set()
        self._server.close()
        for _ in range(100):  # one may have come while the door was being shut
            self.cut()
            if not self._writers:
                break
            await asyncio.sleep(0.01)

    def cut(self) -> None:
        """End every connection."""
        for writer in list(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(self.path)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, up_writer}
        last = b""

        async def forward() -> None:
            nonlocal last
            while data := await reader.read(1 << 20):
                if not self.to_server.is_set():
                    self.fired += 1
                    await self.to_server.wait()
                last = data
                up_writer.write(data)
                await up_writer.drain()

        async def back() -> None:
            while data := await up_reader.read(1 << 20):
                if self.lose(last):
                    self.fired += 1
                    return
                if not self.to_client.is_set():
                    self.fired += 1
                    await self.to_client.wait()
                writer.write(data)
                await writer.drain()

        tasks = {asyncio.create_task(forward()), asyncio.create_task(back())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for one in (writer, up_writer):
                self._writers.discard(one)
                with contextlib.suppress(OSError):
                    one.close()
