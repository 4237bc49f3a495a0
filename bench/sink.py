"""A fast SMTP server that throws mails away: `python -m bench.sink PORT [plain]`, the same for everybody.

It answers XCOUNT with how many mails it took and when the first and the last (ns of the monotonic clock), XRESET, and
XTIMES with the time and the recipient of each. With `plain` it does not offer PIPELINING.
"""

import asyncio
import sys
import time

import uvloop

MAILS: list[tuple[int, bytes]] = []
EHLO = b"250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
PLAIN = b"250-sink.example\r\n250 8BITMIME\r\n"


class Sink(asyncio.Protocol):
    """One connection. Lines until DATA, then text until the dot; answers to what came together leave together."""

    hello = EHLO

    def __init__(self) -> None:
        self._buffer = b""
        self._text = False
        self._recipient = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        transport.write(b"220 sink.example ESMTP\r\n")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data
        said = b""
        while buffer:
            if self._text:
                end = buffer.find(b"\r\n.\r\n")
                if end < 0:
                    break
                buffer = buffer[end + 5 :]
                self._text = False
                MAILS.append((time.monotonic_ns(), self._recipient))
                said += b"250 2.0.0 queued\r\n"
                continue
            line, found, rest = buffer.partition(b"\r\n")
            if not found:
                break
            buffer = rest
            if line[:4] in (b"QUIT", b"quit"):
                self._rare(b"QUIT")
                return
            said += self._answer(line)
        self._buffer = buffer
        if said:
            self._transport.write(said)  # type: ignore[attr-defined]

    def _answer(self, line: bytes) -> bytes:
        verb = line[:4].upper()
        if verb == b"RCPT":
            self._recipient = line[9:-1]
        elif verb == b"DATA":
            self._text = True
            return b"354 go on\r\n"
        return self._rare(verb) or b"250 2.1.0 OK\r\n"

    def _rare(self, verb: bytes) -> bytes:
        if verb == b"EHLO":
            return self.hello
        if verb == b"XCOU":
            first, last = (MAILS[0][0], MAILS[-1][0]) if MAILS else (0, 0)
            return b"250 %d %d %d\r\n" % (len(MAILS), first, last)
        if verb == b"XTIM":
            return b"".join(b"250-%d %b\r\n" % mail for mail in MAILS) + b"250 end\r\n"
        if verb == b"XRES":
            MAILS.clear()
        elif verb == b"QUIT":
            self._transport.write(b"221 2.0.0 bye\r\n")  # type: ignore[attr-defined]
            self._transport.close()
        return b""


async def main() -> None:
    """Serve for ever."""
    Sink.hello = PLAIN if "plain" in sys.argv else EHLO
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
