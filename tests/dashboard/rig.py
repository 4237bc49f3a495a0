"""The whole system for a browser to look at, all of it real: Valkey, the API with its recorder, workers, SMTP."""

import asyncio
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from playwright.async_api import Browser, ConsoleMessage, Page, expect

from tests.conftest import ValkeyServer
from tests.test_up import EVENT, PATH, System, free_port

expect.set_options(timeout=25_000)  # an act waits ten seconds, and the machine may be busy


def wait_for_port(port: int) -> None:
    """Somebody listens there."""
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


class Sink:
    """An SMTP server that knows no address that begins with «nobody»."""

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:
        return "250 2.0.0 Ok: queued as 4F3A21"


class Rig:
    """Starts and stops the parts. `url` is where the dashboard is."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.valkey = ValkeyServer(folder)
        self.valkey.start()
        self.smtp = Controller(Sink(), hostname="127.0.0.1", port=free_port())
        self.smtp.start()
        self.settings = {
            "YB_DATA_DIR": str(folder / "data"), "YB_PORT": str(self.port), "YB_VALKEY_URL": self.valkey.url,
            "YB_SMTP_URL": f"smtp://127.0.0.1:{self.smtp.port}", "YB_KINDS": "tests.dashboard.report",
            "YB_RETRY": "attempts=2,base=0.1s", "YB_RATE_LIMIT": "10000/hour",
        }  # fmt: skip
        self.systems: list[System] = []
        self.worker: System | None = None
        self.api = self.start("api")
        self.url = self.api.url

    def start(self, *words: str, **changes: str) -> System:
        """One role, ready."""
        settings = self.settings | changes
        system = System(*words, **settings)
        self.systems.append(system)
        system.read_until('"ready"')
        if words[0] == "api":
            wait_for_port(int(settings["YB_PORT"]))
        return system

    def work(self) -> None:
        """A worker runs."""
        self.worker = self.worker or self.start("worker")

    def rest(self) -> None:
        """No worker runs."""
        if self.worker:
            self.worker.stop(signal.SIGTERM)
            self.worker = None

    def post(self, kind: str, **payload: Any) -> str:
        """A job; its id."""
        body = EVENT | payload if kind == "signin-notification" else payload
        status, answer = self.api.ask("POST", PATH if kind == "signin-notification" else f"/api/jobs/{kind}", body)
        assert status == 202, answer
        return str(answer["jobId"])

    def bring(self, template: str) -> None:
        """From now on jobs of this template work."""
        (self.folder / "data").mkdir(exist_ok=True)
        (self.folder / "data" / template).touch()

    def stop(self) -> None:
        if self.worker:
            self.worker.process.kill()  # a slow job would keep it for its grace
        for system in reversed(self.systems):
            if system.process.poll() is None:
                system.stop(signal.SIGTERM)
            system.reader.join(5)
        self.smtp.stop()
        self.valkey.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def rig() -> Iterator[Rig]:
    """The parts that the tests share: none may count on being the first."""
    rig = Rig(Path(tempfile.mkdtemp(prefix="yb")))
    yield rig
    rig.stop()


class Complaints(list[str]):
    """What the browser complained of: errors, warnings, policy violations, requests to elsewhere."""

    def watch(self, page: Page, url: str) -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.append(f"error: {error}"))
        page.on(
            "request", lambda request: None if request.url.startswith(url) else self.append(f"request: {request.url}")
        )

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.append(f"{message.type}: {message.text} {message.location.get('url', '')}")


@asynccontextmanager
async def looking(
    browser: Browser,
    rig: Rig,
    path: str,
    *,
    width: int = 1280,
    dark: bool = False,
    language: str = "en",
    quiet: bool = True,
) -> AsyncIterator[Page]:
    """A page of the dashboard; in the end the browser must have had nothing to complain of, unless not `quiet`."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", locale=language,
        timezone_id="Asia/Ulaanbaatar", reduced_motion="reduce",
    )  # fmt: skip
    page = await context.new_page()
    page.set_default_timeout(20_000)
    complaints = Complaints()
    complaints.watch(page, rig.url)
    await page.goto(rig.url + path)
    try:
        yield page
        if quiet:
            assert not complaints, list(complaints)
    finally:
        await context.close()


async def ask(rig: Rig, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """The API, beside the browser."""
    return await asyncio.to_thread(rig.api.ask, method, path, body)
