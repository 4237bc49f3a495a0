"""The attacks, each in a process of its own: `python -m tests.edge.attacks NAME PORT SOCKETS SECONDS TAG`.

Prints one JSON object: how often it tried, what it was answered, and how long honest requests took (ms). An attack
keeps its sockets busy until its time is over: who is cut comes back.
"""

import asyncio
import collections
import os
import random
import resource
import socket
import sys
import time
from collections.abc import Awaitable, Callable

import msgspec
import uvloop

from tests.edge.wire import PATH, post, sign_in

KEY = "a-key-of-the-good-web-app"
BEARER = f"Authorization: Bearer {KEY}"
HEAD = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n{BEARER}\r\nContent-Type: application/json\r\n".encode()
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
PATIENCE_SECONDS = 90.0


class Told(msgspec.Struct):
    """What an attack saw. `taken` has the users of the jobs that were answered 202."""

    tried: int = 0
    statuses: dict[str, int] = {}
    taken: list[str] = []
    times: list[float] = []

    def count(self, answer: bytes) -> None:
        """One answer; b"" where the connection ended without."""
        status = answer[9:12].decode("latin-1") if answer.startswith(b"HTTP/1.1 ") else "cut"
        if status == "503" and b"retry-after" not in answer.lower():
            status = "503 without Retry-After"
        self.statuses[status] = self.statuses.get(status, 0) + 1


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Attack = Callable[["Field", Streams, int], Awaitable[None]]


class Field:
    """One attack: the port, its end, and what it saw."""

    def __init__(self, port: int, seconds: float, tag: str) -> None:
        self.port, self.tag, self.told = port, tag, Told()
        self.end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        return time.monotonic() >= self.end

    async def connect(self) -> Streams:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def keep(self, attack: Attack, number: int) -> None:
        """One socket of the attack, again and again."""
        while not self.over:
            try:
                streams = await self.connect()
            except OSError:
                await asyncio.sleep(0.05)
                continue
            self.told.tried += 1
            try:
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + self.end - time.monotonic()):
                    await attack(self, streams, number)
                    self.told.count(await streams[0].read(400))
            except TimeoutError:
                pass
            except OSError:
                self.told.count(b"")
            streams[1].transport.abort()


async def drip(streams: Streams, data: bytes) -> None:
    """A byte a second, until the API has something to say."""
    reader, writer = streams
    hearing = asyncio.create_task(reader.read(1))
    try:
        for byte in data:
            writer.write(bytes([byte]))
            if (await asyncio.wait({hearing}, timeout=1.0))[0]:
                reader._buffer[:0] = hearing.result()  # type: ignore[attr-defined]  # put back what was looked at
                return
    finally:
        hearing.cancel()


async def slow_heads(_field: Field, streams: Streams, _number: int) -> None:
    streams[1].write(HEAD)
    await drip(streams, b"X-Slow: " + b"y" * 4000)


async def slow_bodies(field: Field, streams: Streams, number: int) -> None:
    whole = post(sign_in(f"{field.tag}-{number}"), BEARER)
    streams[1].write(whole[:-20])
    await drip(streams, b" " * 4000)


async def silent(_field: Field, streams: Streams, _number: int) -> None:
    await streams[0].read(1)


async def idle(_field: Field, streams: Streams, _number: int) -> None:
    streams[1].write(GET)
    await streams[0].readuntil(b"}")
    await streams[0].read(1)


async def half_open(field: Field, streams: Streams, _number: int) -> None:
    """A part of a request, and then the client says no more and reads nothing."""
    streams[1].write(HEAD[:60])
    streams[1].write_eof()
    await asyncio.sleep(field.end - time.monotonic())


async def unread(field: Field, streams: Streams, _number: int) -> None:
    """Sixteen large answers, of which no byte is read."""
    streams[1].transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    streams[0]._transport.pause_reading()  # type: ignore[attr-defined]
    streams[1].write(b"GET /schema/openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 16)
    await asyncio.sleep(field.end - time.monotonic())


async def huge_heads(_field: Field, streams: Streams, number: int) -> None:
    fields = b"X: y\r\n" * 10_000 if number % 2 else b"X: " + b"y" * 200_000
    streams[1].write(HEAD + fields)


async def huge_bodies(_field: Field, streams: Streams, number: int) -> None:
    sizes = (
        (b"Content-Length: 1048576\r\n\r\n", b"x" * 1_048_000),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 500_000),
    )
    head, body = sizes[number % 2]
    streams[1].write(HEAD + head + body)
    await streams[1].drain()


async def garbage(_field: Field, streams: Streams, _number: int) -> None:
    streams[1].write(random.randbytes(random.randint(1, 2000)) + b"\r\n\r\n")


async def deep(_field: Field, streams: Streams, _number: int) -> None:
    streams[1].write(post(b'{"a":' * 10_000, BEARER))


async def compressed(_field: Field, streams: Streams, _number: int) -> None:
    streams[1].write(post(random.randbytes(1000), BEARER, "Content-Encoding: gzip"))


async def pipelines(_field: Field, streams: Streams, _number: int) -> None:
    streams[1].write(GET * 1000)
    await streams[1].drain()
    await streams[0].read(65_536)


async def wrong_keys(_field: Field, streams: Streams, number: int) -> None:
    streams[1].write(post(sign_in(number), f"Authorization: Bearer wrong-{random.random()}"))


ATTACKS: dict[str, Attack] = {
    one.__name__.replace("_", " "): one
    for one in (
        slow_heads, slow_bodies, silent, idle, half_open, unread, huge_heads, huge_bodies, garbage, deep, compressed,
        pipelines, wrong_keys,
    )
}  # fmt: skip


async def ask(field: Field, user: str, *, alone: bool = True) -> None:
    """One honest sign-in; where it hears 503 it does as it is told, as a client does."""
    began = time.monotonic()
    field.told.tried += 1
    answer = b""
    for _ in range(20):
        answer = await _asked(field, user)
        field.told.count(answer)
        if not answer.startswith(b"HTTP/1.1 503") or not alone:
            break
        await asyncio.sleep(2)
    field.told.times.append((time.monotonic() - began) * 1000)
    if answer.startswith(b"HTTP/1.1 202"):
        field.told.taken.append(user)


async def _asked(field: Field, user: str) -> bytes:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            reader, writer = await field.connect()
            writer.write(post(sign_in(user), BEARER, "Connection: close"))
            answer = await reader.read()
            writer.close()
            return answer
    except (OSError, TimeoutError):
        return b""


async def good(field: Field, rate: float) -> None:
    """Honest sign-ins, so many a second whatever the answers do."""
    tasks, number, began = [], 0, time.monotonic()
    while not field.over:
        tasks.append(asyncio.create_task(ask(field, f"{field.tag}-{number}")))
        number += 1
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
    await asyncio.gather(*tasks)


async def at_once(field: Field, count: int) -> None:
    """Honest sign-ins of one web app, all at once."""
    await asyncio.gather(*(ask(field, f"{field.tag}-{number}") for number in range(count)))


async def main(name: str, port: int, sockets: int, seconds: float, tag: str) -> Told:
    """Run one and give what it saw."""
    field = Field(port, seconds, tag)
    if name == "good":
        await good(field, sockets)
    elif name == "at once":
        await at_once(field, sockets)
    elif name == "all":
        keeping = [field.keep(attack, number) for attack in ATTACKS.values() for number in range(sockets)]
        await asyncio.gather(*keeping)
    else:
        await asyncio.gather(*(field.keep(ATTACKS[name], number) for number in range(sockets)))
    field.told.statuses = dict(collections.Counter(field.told.statuses).most_common())
    return field.told


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    name, port, sockets, seconds, tag = sys.argv[1:]
    told = uvloop.run(main(name, int(port), int(sockets), float(seconds), tag))
    os.write(1, msgspec.json.encode(told))
