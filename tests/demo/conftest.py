"""The demo site beside the API, both on real ports of this process."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from tests.api.conftest import Api, api
from tests.api.test_inbox import served
from tests.parts import Told, eventually
from tests.test_up import free_port
from yellowbooks.demo import DemoParts, create_site
from yellowbooks.settings import Settings
from yellowbooks.wiring.demo import _finder

__all__ = ["api"]


class Site:
    """The site and a visitor, who keeps cookies and follows no redirect by himself."""

    def __init__(self, parts: DemoParts, visitor: httpx.AsyncClient, told: Told) -> None:
        self.parts, self.visitor, self.told = parts, visitor, told

    async def get(self, path: str, **how: Any) -> httpx.Response:
        return await self.visitor.get(path, **how)

    async def begin(self) -> dict[str, str]:
        """Press the button; gives what the authorize page was asked."""
        reply = await self.get("/sign-in")
        assert reply.status_code == 302
        return dict(httpx.URL(reply.headers["location"]).params)

    async def decide(self, asked: dict[str, str], **form: str) -> httpx.Response:
        return await self.visitor.post("/stand-in/login/oauth/authorize", data=asked | form)

    async def sign_in(self, person: str = "nomin", **form: str) -> httpx.Response:
        """All the way; gives the answer of the callback."""
        reply = await self.decide(await self.begin(), person=person, decision="allow", **form)
        assert reply.status_code == 303, reply.text
        return await self.get(reply.headers["location"])

    async def state(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.get("/welcome/state")).json()
        return found


@pytest.fixture
async def site(api: Api, tmp_path: Path) -> AsyncIterator[Site]:
    async with served(api) as (address, _), visited(address, tmp_path, api.told) as found:
        yield found


class visited:
    """A site for some API."""

    def __init__(self, address: str, folder: Path, told: Told, **changes: Any) -> None:
        port = free_port()
        parts = DemoParts(
            site=f"http://127.0.0.1:{port}", api=address, key="", tell=told, spool=folder / "spool",
            find_mail=_finder(replace(Settings(), data_dir=folder)),
        )  # fmt: skip
        self.parts = replace(parts, **changes)
        self.told = told
        self.server = uvicorn.Server(uvicorn.Config(create_site(self.parts), port=port, log_config=None, ws="none"))

    async def __aenter__(self) -> Site:
        self.running = asyncio.create_task(self.server.serve())
        await eventually(lambda: self.server.started)
        agent = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Chrome/143.0.0.0", "Accept-Language": "en-GB,en;q=0.9"}
        self.visitor = httpx.AsyncClient(base_url=self.parts.site, headers=agent, trust_env=False)
        return Site(self.parts, self.visitor, self.told)

    async def __aexit__(self, *_: object) -> None:
        await self.visitor.aclose()
        self.server.should_exit = True
        await self.running
