"""Chromium signs in to examples/nextjs and examples/nextjs-v5; the mail comes, or not, and the sign-in is the same."""

import asyncio
import os
import re
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from email import policy
from email.parser import BytesParser
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.browser import browser
from tests.nextauth.apps import install, next_app
from tests.nextauth.github import GitHub
from tests.nextauth.servers import Failing, proxy, serving
from tests.parts import eventually
from tests.test_up import Sink, System, free_port, sink

__all__ = ["browser", "sink"]  # fixtures
pytestmark = pytest.mark.asyncio(loop_scope="session")
KEY = "a-key-of-the-tests"
FORGED = {"X-Forwarded-For": "6.6.6.6", "X-Yellowbooks-Peer": "6.6.6.6"}
ANDROID = "Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"
SIGN_IN_SECONDS = 4.5
"""The notifier gives the API 5 s; a sign-in that waited for it would take longer than this."""


@dataclass
class Rig:
    """Yellow Books, its mails and GitHub's stand-in; apps are started into `stack`."""

    up: System
    sink: Sink
    github: GitHub
    stack: ExitStack

    def app(self, name: str, port: int | None = None, **settings: str) -> tuple[str, list[str]]:
        """An example app that tells Yellow Books; its address and its lines."""
        port = port or free_port()
        told = {"YB_URL": self.up.url, "YB_API_KEY": KEY}
        lines = self.stack.enter_context(next_app(name, port, self.github.url, **(told | settings)))
        return f"http://localhost:{port}", lines

    async def mail(self, address: str) -> str:
        """The text of the one mail to an address."""
        await eventually(lambda: self.mails(address), 20)
        [text] = self.mails(address)
        return text

    def mails(self, address: str) -> list[str]:
        read = [BytesParser(policy=policy.default).parsebytes(mail) for mail in self.sink.mails]
        return [mail.get_body(("plain",)).get_content() for mail in read if mail["to"] == address]


@pytest.fixture
def rig(short_folder: Path, sink: tuple[Sink, str]) -> Iterator[Rig]:
    install()
    settings = {"YB_DATA_DIR": str(short_folder / "data"), "YB_PORT": str(free_port()), "YB_API_KEYS": KEY}
    up = System("up", YB_SMTP_URL=sink[1], **settings)
    github = GitHub()
    try:
        up.read_until("Ctrl-C stops")
        with ExitStack() as stack:
            yield Rig(up, sink[0], github, stack)
    finally:
        github.close()
        if up.process.poll() is None:
            up.stop(signal.SIGTERM)


async def begin(page: Page, url: str) -> None:
    """Clicks from the app's first page to GitHub's, and there."""
    await page.goto(url)
    await page.get_by_role("button", name="Sign in with GitHub").click()
    await page.get_by_role("button", name="Authorize").click()


async def sign_in(browser: Browser, url: str, agent: str | None = None) -> str:
    """Clicks from the app's first page to GitHub's and back; gives the address that is signed in then."""
    context = await browser.new_context(extra_http_headers=FORGED, user_agent=agent)
    page = await context.new_page()
    await begin(page, url)
    shown = await page.get_by_text("Signed in as").text_content()
    assert page.url.rstrip("/") == url
    [took] = await page.evaluate("performance.getEntriesByType('navigation').map(one => one.responseEnd)")
    assert took < SIGN_IN_SECONDS * 1000  # from the press of the button to the app's page
    await context.close()
    return (shown or "").removeprefix("Signed in as ")


def after(mark: str, text: str) -> str:
    """What stands after a mark of the mail."""
    found = re.search(rf"{mark} [^:]+: (.+)", text)
    assert found, text
    return found[1].strip()


@pytest.mark.parametrize("app", ["examples/nextjs", "examples/nextjs-v5"])
async def test_whatever_becomes_of_the_api_the_sign_in_is_the_same(rig: Rig, browser: Browser, app: str) -> None:
    url, lines = await asyncio.to_thread(rig.app, app)
    # It is there: the mail says where the browser is and what it is, not what the browser made up.
    text = await rig.mail(await sign_in(browser, url))
    assert (after("📍", text), after("💻", text), after("🌐", text)) == ("127.0.0.1", "Chrome, Linux", "github")
    text = await rig.mail(await sign_in(browser, url, ANDROID))
    assert after("💻", text) == "Firefox, Android"
    assert "yellowbooks:" not in "".join(lines)
    # It hangs: it takes connections and answers none. When it goes on, the attempts so far are one mail.
    api = rig.up.pid_of("api")
    os.kill(api, signal.SIGSTOP)
    try:
        address = await sign_in(browser, url)
        await asyncio.sleep(2.5)  # the first attempt is given up after 2 s
        assert rig.mails(address) == []
    finally:
        os.kill(api, signal.SIGCONT)
    await rig.mail(address)
    # It is away; then something is there that answers 500.
    await asyncio.to_thread(rig.up.stop)
    away = await sign_in(browser, url)
    await eventually(lambda: "the API could not be reached" in "".join(lines), 20)
    with serving(Failing, int(rig.up.url.rpartition(":")[2])):
        failed = await sign_in(browser, url)
        await eventually(lambda: "the API answered 500" in "".join(lines), 20)
    assert len(rig.mails(address)) == 1
    assert rig.mails(away) == rig.mails(failed) == []
    assert len(rig.sink.mails) == 3


async def test_behind_a_proxy_it_is_the_address_that_the_proxy_saw(rig: Rig, browser: Browser) -> None:
    """With the callback, which lets one user in and another not."""
    port = free_port()
    url = f"http://localhost:{rig.stack.enter_context(serving(proxy(port)))}"
    settings = {"url": url, "TRUSTED_PROXIES": "1", "HOOK": "callback", "BLOCKED": "bat2@example.com"}
    await asyncio.to_thread(lambda: rig.app("examples/nextjs-v5", port, **settings))
    text = await rig.mail(await sign_in(browser, url))
    assert after("📍", text) == "127.0.0.1"  # neither the proxy's own, 127.0.0.5, nor what the browser made up
    page = await browser.new_page()
    await begin(page, url)
    await page.get_by_text("Access Denied").wait_for()
    await page.close()
    assert len(rig.sink.mails) == 1
