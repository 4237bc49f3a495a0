"""The API over a real queue, asked in-process."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.parts import Ping, Told
from yellowbooks import signin
from yellowbooks.api import ApiParts, create_app
from yellowbooks.jobs import Backoff, Job, Kind, Queue, Rate
from yellowbooks.mail import Inbox


class Log:
    """A job log in memory."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.away = False

    async def find(self, job_id: str) -> Job | None:
        if self.away:
            raise ConnectionError("the log is away")
        return self.jobs.get(job_id)


class Api:
    """Builds applications and asks them."""

    def __init__(self, queue: Queue, folder: Path) -> None:
        self.log, self.told, self.inbox = Log(), Told(), Inbox(folder / "inbox")
        self.kind = signin.kind(rate=Rate(10, 3600), backoff=Backoff())
        self.parts: dict[str, Any] = {
            "queue": queue, "kinds": [self.kind, Kind("ping", Ping)], "find": self.log.find, "inbox": self.inbox,
            "tell": self.told, "close": self.nothing,
        }  # fmt: skip

    async def nothing(self) -> None:
        return None

    def client(self, **changes: Any) -> httpx.AsyncClient:
        app = create_app(ApiParts(**(self.parts | changes)))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:3333")


@pytest.fixture
def api(queue: Queue, tmp_path: Path) -> Api:
    return Api(queue, tmp_path)


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    async with api.client() as client:
        yield client
