"""A worker's answer to the question whether it is alive: one line over HTTP, from the loop that runs its jobs."""

import asyncio
from collections.abc import Callable

READ_SECONDS = 5.0


async def answer(host: str, port: int, trouble: Callable[[], str | None]) -> asyncio.Server:
    """Answer every GET on a port with 200, or with 503 and what `trouble` says. Raises `OSError` where it is taken.

    A loop that is blocked answers nobody, so whoever asks should count no answer within some seconds as a no.
    """

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                await reader.readuntil(b"\r\n\r\n")
            why = trouble()
            status, body = ("503 Service Unavailable", why) if why else ("200 OK", "ok")
            text = f"{body}\n".encode()
            head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\nConnection: close"
            writer.write(head.encode() + b"\r\n\r\n" + text)
            await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asks badly gets no answer
        finally:
            writer.close()

    return await asyncio.start_server(serve, host, port)
