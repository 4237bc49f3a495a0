"""The operators' desk over a real queue, asked in-process or behind a real port."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from tests.parts import Ping, Told, eventually
from tests.test_up import free_port
from yellowbooks.api import ApiParts, create_app
from yellowbooks.jobs import Kind, Queue
from yellowbooks.operators import Now, Watch, live_routes


class Desk:
    """The operators' routes, and what stands behind them."""

    def __init__(self, queue: Queue, folder: Path) -> None:
        self.queue, self.folder, self.told = queue, folder, Told()
        self.watch = Watch(queue, linger=0.3)
        self.now = Now(queue, self.watch)
        self.stop = False

    def routes(self) -> list[Any]:
        return live_routes(self.now, self.watch, lambda: self.stop)

    def app(self, **changes: Any) -> Any:
        parts: dict[str, Any] = {
            "queue": self.queue, "kinds": [Kind("ping", Ping)], "find": self._find, "inbox": None, "api_keys": (),
            "admin_keys": (), "tell": self.told, "close": self.watch.close, "operator_routes": self.routes(),
        }  # fmt: skip
        return create_app(ApiParts(**(parts | changes)))

    def client(self, **changes: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app(**changes), raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3333")

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        port = free_port()
        server = uvicorn.Server(uvicorn.Config(self.app(), port=port, log_config=None, ws="none"))
        running = asyncio.create_task(server.serve())
        await eventually(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
        self.stop = server.should_exit = True
        await running

    async def _find(self, _job_id: str) -> None:
        return None


async def told(reply: httpx.Response) -> AsyncIterator[tuple[str, str, Any]]:
    """What a stream tells: the event, its id, its data."""
    event = name = ""
    async for line in reply.aiter_lines():
        field, _, value = line.partition(":")
        if field == "event":
            event = value.strip()
        elif field == "id":
            name = value.strip()
        elif field == "data":
            yield event, name, json.loads(value)


@pytest.fixture
def desk(queue: Queue, tmp_path: Path) -> Desk:
    return Desk(queue, tmp_path)


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    async with desk.client() as client:
        yield client
