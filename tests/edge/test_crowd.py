"""The bounds of all connections together, over a server in this process with small ones."""

import asyncio
import contextlib
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from tests.edge.wire import Answer, parse
from tests.parts import eventually
from yellowbooks.edge import Connection, Crowd, Limits
from yellowbooks.edge.crowd import SPARE, YOUNG_SECONDS

GET = b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"
PROBE = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
QUICK = PROBE.replace(b"healthz", b"quick")
BIG = 8 * 1024 * 1024


class Site:
    """A server with an application that answers when it may."""

    def __init__(self, limits: Limits) -> None:
        self.refused: Counter[str] = Counter()
        self.crowd = Crowd(limits, lambda reason: self.refused.update([reason]))
        self.may = asyncio.Event()
        self.asked: list[str] = []
        self.shift = 0.0
        self.ticking = True
        self.clients: list[asyncio.StreamWriter] = []

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked.append(scope["path"])
        assert (await receive())["more_body"] is False, "a request reaches the application when it is whole"
        if scope["path"] == "/slow":
            await self.may.wait()
        size = BIG if scope["path"] == "/big" else 2
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        await send({"type": "http.response.body", "body": b"k" * size})

    async def tick(self) -> None:
        while True:
            if self.ticking:
                self.crowd.tick(time.monotonic() + self.shift)
            await asyncio.sleep(0.01)

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.clients.append(writer)
        return reader, writer

    async def send(self, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await self.connect()
        writer.write(data)
        return reader, writer

    async def pass_time(self, seconds: float) -> None:
        """The crowd's clock goes on by at most half a second a look."""
        before = self.crowd._clock
        while self.crowd._clock < before + seconds:
            self.shift += 0.4
            await asyncio.sleep(0.015)


@contextlib.asynccontextmanager
async def site(**limits: Any) -> AsyncIterator[Site]:
    it = Site(Limits(**limits))
    config = uvicorn.Config(it.app, log_config=None, interface="asgi3")
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(config, state, {}, crowd=it.crowd), "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    ticking = asyncio.create_task(it.tick())
    try:
        yield it
        it.may.set()
        for writer in it.clients:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in it.clients), return_exceptions=True)
        await eventually(lambda: not state.connections)
        assert (it.crowd.open, it.crowd.held, it.crowd._addresses) == (0, 0, Counter())
        assert not any(it.crowd._since.values())
    finally:
        ticking.cancel()
        server.close()


async def said(reader: asyncio.StreamReader) -> list[Answer]:
    """All until the end."""
    with contextlib.suppress(ConnectionResetError):
        return parse(await asyncio.wait_for(reader.read(), 20))[0]
    return []


async def answer(reader: asyncio.StreamReader) -> Answer:
    data = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    size = int(data.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    [found], _ = parse(data + await reader.readexactly(size))
    return found


async def test_the_slowest_heads_go_first_and_good_clients_come_in() -> None:
    async with site(connections=10) as it:
        slow = [await it.send(b"GET / HTTP/1.1\r\n") for _ in range(10)]
        await eventually(lambda: it.crowd.open == 10)
        await it.pass_time(YOUNG_SECONDS + 0.1)
        for reader, _ in slow:
            good, _ = await it.send(QUICK)
            assert (await answer(good)).status == 200
            assert await said(reader) == []  # the oldest first
        assert it.refused == {"crowded": 10}


async def test_idle_connections_make_room() -> None:
    async with site(connections=5) as it:
        idle = []
        for _ in range(5):
            idle.append(await it.send(PROBE))
            assert (await answer(idle[-1][0])).status == 200
        reader, _ = await it.send(QUICK)
        assert (await answer(reader)).status == 200
        assert await said(idle[0][0]) == []
        idle[1][1].write(PROBE)
        assert (await answer(idle[1][0])).status == 200


async def test_where_all_are_at_work_probes_are_answered_and_others_told_to_come_later() -> None:
    async with site(connections=5) as it:
        busy = [await it.send(GET) for _ in range(5)]
        await eventually(lambda: len(it.asked) == 5)
        reader, _ = await it.send(PROBE)
        assert (await answer(reader)).status == 200
        reader, _ = await it.send(GET)
        [refused] = await said(reader)
        assert refused.status == 503
        assert refused.fields["retry-after"] == "5"
        assert "again" in refused.problem()["detail"]
        assert it.asked.count("/slow") == 5
        it.may.set()
        assert [(await answer(one)).status for one, _ in busy] == [200] * 5
        reader, _ = await it.send(GET)
        assert (await answer(reader)).status == 200


async def test_beyond_the_spare_places_connections_are_cut() -> None:
    async with site(connections=5) as it:
        busy = [await it.send(GET) for _ in range(5)]
        await eventually(lambda: len(it.asked) == 5)
        young = [await it.connect() for _ in range(3 * SPARE)]
        await eventually(lambda: it.crowd.open <= 5 + SPARE and it.refused["crowded"] >= 2 * SPARE)
        assert it.crowd.open <= 5 + SPARE
        cut = [reader for reader, _ in young[-2 * SPARE :]]
        assert [await said(reader) for reader in cut] == [[]] * (2 * SPARE)
        it.may.set()
        assert [(await answer(one)).status for one, _ in busy] == [200] * 5


async def test_one_address_has_a_bound_of_its_own() -> None:
    async with site(address_connections=3, counted=lambda address: address) as it:
        held = [await it.connect() for _ in range(3)]
        await eventually(lambda: it.crowd.open == 3)
        reader, _ = await it.connect()
        [refused] = await said(reader)
        assert refused.status == 429
        assert refused.fields["retry-after"]
        held[0][1].close()
        await eventually(lambda: it.crowd.open == 2)
        reader, _ = await it.send(PROBE)
        assert (await answer(reader)).status == 200


async def test_bodies_that_come_slowly_hold_no_more_than_their_bound() -> None:
    head = b"POST /quick HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n"
    async with site(bodies=215_000) as it:
        slow = [await it.send(head + b"x" * 50_000) for _ in range(10)]
        await eventually(lambda: it.refused["crowded"] == 6)
        assert it.crowd.held <= 215_000
        assert [await said(reader) for reader, _ in slow[:6]] == [[]] * 6
        for _, writer in slow[6:]:
            writer.write(b"x" * 10_000)
        assert [(await answer(reader)).status for reader, _ in slow[6:]] == [200] * 4
        assert it.crowd.held == 0


async def test_who_does_not_take_an_answer_is_cut_and_who_takes_it_slowly_is_not() -> None:
    async with site(unread=4.0) as it:
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", it.port))
            deaf.sendall(GET.replace(b"slow", b"big"))
            reader, _ = await it.send(GET.replace(b"slow", b"big"))
            heard = 0
            while heard < BIG:
                chunk = await asyncio.wait_for(reader.read(262_144), 20)
                assert chunk, f"it was cut after {heard} bytes"
                heard += len(chunk)
                await it.pass_time(0.2)
            await eventually(lambda: it.refused["unread"] == 1)


async def test_a_process_that_stood_still_takes_nobodys_time() -> None:
    async with site(receive=1.0) as it:
        reader, writer = await it.send(b"GET /quick HTTP/1.1\r\n")
        await eventually(lambda: it.crowd.open == 1)
        it.shift += 3600
        await asyncio.sleep(0.05)
        writer.write(b"Host: a\r\n\r\n")
        assert (await answer(reader)).status == 200
        writer.write(b"GET")
        await asyncio.sleep(0.05)
        await it.pass_time(1.5)
        assert [one.status for one in await said(reader)] == [408]


@pytest.mark.parametrize(
    "sent", [b"", b"GET /quick HTTP/1.1\r\n", b"POST /quick HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"]
)
async def test_a_refused_client_that_never_leaves_is_cut(sent: bytes) -> None:
    async with site(receive=1.0, linger=1.0) as it:
        loop = asyncio.get_running_loop()
        with socket.socket() as stubborn:
            stubborn.setblocking(False)
            await loop.sock_connect(stubborn, ("127.0.0.1", it.port))
            await loop.sock_sendall(stubborn, sent)
            await eventually(lambda: it.crowd.open == 1)
            await it.pass_time(3.0)
            await eventually(lambda: it.crowd.open == 0)
