"""A mail server on loopback that counts what it takes, refuses some, and can hang up right after the final dot."""

import asyncio
import re
from collections import Counter

NOBODY = "nobody"  # recipients of this beginning are refused for good
GREETING = b"220 drill ESMTP\r\n"
PAUSE_SECONDS = 0.02  # before the final answer, so that mails are under way whenever something breaks


class Sink:
    """Takes mails (RFC 5321). `drops` is how many of the next ones are taken without a word: the line breaks."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.drops = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        self._server = await asyncio.start_server(self._converse, "127.0.0.1", 0, limit=1024 * 1024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Hang up."""
        if self._server:
            self._server.close()
        for writer in list(self._lines):
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines.add(writer)
        try:
            writer.write(GREETING)
            await self._commands(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # a worker was killed
        finally:
            self._lines.discard(writer)
            writer.close()

    async def _commands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient = ""
        while line := await reader.readline():
            command = line[:4].upper()
            if command == b"EHLO":
                writer.write(b"250-drill\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n")
            elif command == b"RCPT":
                found = re.search(rb"<([^<>]*)>", line)
                recipient = found[1].decode("ascii", "replace") if found else ""
                known = not recipient.startswith(NOBODY)
                writer.write(b"250 2.1.5 ok\r\n" if known else b"550 5.1.1 nobody of this name\r\n")
                recipient = recipient if known else ""
            elif command == b"DATA" and not recipient:
                writer.write(b"503 5.5.1 no recipient\r\n")
            elif command == b"DATA":
                writer.write(b"354 go on\r\n")
                await writer.drain()
                await reader.readuntil(b"\r\n.\r\n")
                self.taken[recipient] += 1
                await asyncio.sleep(PAUSE_SECONDS)
                if self.drops:
                    self.drops -= 1
                    return
                writer.write(b"250 2.0.0 taken\r\n")
            elif command == b"QUIT":
                writer.write(b"221 2.0.0 bye\r\n")
                return
            else:
                writer.write(b"250 2.0.0 ok\r\n")
            await writer.drain()
