"""A proxy that delays both directions: `python -m bench.slow PORT TARGET SECONDS`, half of a round trip each way."""

import asyncio
import sys

import uvloop


class Far(asyncio.Protocol):
    """One side of a connection; what it hears goes to the other side later, in order."""

    def __init__(self, other: "Far | None" = None) -> None:
        self.other = other
        self.transport: asyncio.Transport | None = None
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        if self.other is None:  # a client: its server is to be reached
            self.other = Far(self)
            self.task = asyncio.ensure_future(
                asyncio.get_running_loop().create_connection(lambda: self.other, "127.0.0.1", TARGET)
            )  # type: ignore[arg-type,return-value]
        for data in self.early:
            self.transport.write(data)  # type: ignore[union-attr]

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(DELAY, self._pass_on, data)

    def connection_lost(self, exc: Exception | None) -> None:
        asyncio.get_running_loop().call_later(
            DELAY, lambda: self.other and self.other.transport and self.other.transport.close()
        )

    def _pass_on(self, data: bytes) -> None:
        if self.other and self.other.transport:
            self.other.transport.write(data)
        elif self.other:
            self.other.early.append(data)


async def main() -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(Far, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    TARGET, DELAY = int(sys.argv[2]), float(sys.argv[3])
    uvloop.run(main())
