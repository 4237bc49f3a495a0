"""The API with every face that it can have, put together as a process does it, asked in-process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.parts import Told
from yellowbooks.settings import Settings
from yellowbooks.wiring.app import make_app
from yellowbooks.wiring.edge import Edge

CALLER = "a-key-of-an-application"
OPERATOR = "a-key-of-an-operator"
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
SOURCE = "own"
LINK_KEY = "a-key-that-seals-links"
ELSEWHERE = ("203.0.113.7", 1234)  # not this machine: /metrics is open to this machine
ADDRESS = "http://127.0.0.1:3333"
SETTINGS: dict[str, Any] = {
    "api_keys": (CALLER,), "admin_keys": (OPERATOR,), "webhook_secrets": ((SOURCE, SECRET),),
    "public_url": "https://jobs.example.com", "link_keys": (LINK_KEY,), "mail_secret": "a-secret-of-the-mails",
    "revoke_url": "https://app.example.com/revoke", "revoke_secrets": (SECRET,),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Whole:
    """The application, and whoever asks it from another machine."""

    app: Any
    settings: Settings
    told: Told

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Somebody without a key."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=ELSEWHERE)
        return httpx.AsyncClient(transport=transport, base_url=ADDRESS, **options)

    def operations(self) -> set[str]:
        """Every method and path that is served. OPTIONS is the framework's own, and tells the methods alone."""
        found = set()
        for route in self.app.routes:
            found |= {f"{method} {route.path_format}" for method in route.methods - {"OPTIONS"}}
        return found


@asynccontextmanager
async def whole(valkey_url: str, folder: Path, **changes: Any) -> AsyncIterator[Whole]:
    """The application while it runs. Its live streams end after the first look, as those of one that is stopping."""
    settings = Settings(valkey_url=valkey_url, data_dir=folder, **(SETTINGS | changes))
    told = Told()
    app = make_app(settings, told, Edge(settings, told), lambda: True, lambda: False)
    started, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:  # a task of its own: a fixture is left by another task than it was entered by
        async with app.lifespan():
            started.set()
            await stop.wait()

    task = asyncio.create_task(live())
    waiting = asyncio.create_task(started.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if started.is_set():
            yield Whole(app, settings, told)
    finally:
        stop.set()
        waiting.cancel()
        await task


def bearer(key: str) -> dict[str, str]:
    """The header of a key."""
    return {"Authorization": f"Bearer {key}"}
