"""The operators' desk over a real queue, asked in-process or behind a real port."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from tests.parts import Ping, Told, eventually
from tests.test_up import free_port
from yellowbooks.api import ApiParts, create_app
from yellowbooks.joblog import JobLog, LogUnavailable, Recorder
from yellowbooks.jobs import Kind, Queue
from yellowbooks.operators import Now
from yellowbooks.settings import Settings
from yellowbooks.wiring import kinds as job_kinds
from yellowbooks.wiring import open_inbox, sign_in_handler
from yellowbooks.wiring.operators import operators_parts


class Asked:
    """The job log as the routes ask it."""

    def __init__(self, log: JobLog) -> None:
        self.log, self.away = log, False

    async def ask(self, work: Callable[[JobLog], Any]) -> Any:
        if self.away:
            raise ConnectionError("the log is away")
        try:
            return await asyncio.to_thread(work, self.log)
        except LogUnavailable as error:
            raise ConnectionError(str(error)) from error


class Desk:
    """The operators' routes, and what stands behind them."""

    def __init__(self, queue: Queue, folder: Path, database: str) -> None:
        self.queue, self.folder, self.told = queue, folder, Told()
        self.settings = Settings(data_dir=folder)
        self.job_log = JobLog(database)
        self.log = Asked(self.job_log)
        self.kinds = {kind.name: kind for kind in [*job_kinds(self.settings), Kind("ping", Ping)]}
        self.parts = operators_parts(
            self.settings, queue, self.log, list(self.kinds.values()), lambda: self.stop, self.told
        )
        self.acts, self.watch = self.parts.acts, self.parts.watch
        self.watch._linger = 0.3
        self.now = Now(queue, self.watch, self.log)
        self.stop = False

    def working(self, kind: Kind[Any]) -> Kind[Any]:
        """The kind with the handler of a worker."""
        return replace(kind, handler=sign_in_handler(self.settings, open_inbox(self.settings), self.queue))

    @asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        """A recorder writes the log."""
        stop = asyncio.Event()
        recorder = Recorder(self.queue, self.job_log, on_trouble=self.told, on_recovered=lambda: None)
        running = asyncio.create_task(recorder.run(stop))
        await asyncio.to_thread(self.job_log.migrate)
        yield
        stop.set()
        await running

    def app(self, **changes: Any) -> Any:
        parts: dict[str, Any] = {
            "queue": self.queue, "kinds": list(self.kinds.values()), "find": self._find, "inbox": None,
            "api_keys": (), "admin_keys": (), "tell": self.told, "close": self.parts.close, "audit": self.parts.trail,
            "plan": self.acts.plan, "start": self.acts.start,
            "operator_routes": self.parts.routes,
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
def desk(queue: Queue, tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(queue, tmp_path, f"sqlite:///{tmp_path}/log.sqlite3")
    yield desk
    desk.job_log.close()


@pytest.fixture
async def client(desk: Desk) -> AsyncIterator[httpx.AsyncClient]:
    async with desk.client() as client:
        yield client
