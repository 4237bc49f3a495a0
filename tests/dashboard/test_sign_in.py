"""Who may look and act, in a real Chromium: an operator who signed in, nobody else, and no page of another site."""

import asyncio
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser import AXE, browser  # noqa: F401  the fixture
from tests.cli.test_api_keys import Keys
from tests.conftest import ValkeyServer
from tests.dashboard.rig import Complaints, wait_for_port
from tests.dashboard.test_looks import SMALL, WIDE
from tests.test_up import System, free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

FORM = """<form method="post" enctype="text/plain" action="{0}/api/admin/dlq/retry"><button>Win a prize</button></form>
<form method="post" action="{0}/dashboard/choose"><input name="look" value="dark"><button>Another one</button></form>
<form method="post" action="{0}/dashboard/logout"><button>And one more</button></form>
<iframe src="{0}/dashboard"></iframe>"""


class Evil(BaseHTTPRequestHandler):
    """A page of another site that asks the operator's browser to act."""

    target = ""

    def do_GET(self) -> None:
        body = FORM.format(self.target).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_words: object) -> None:
        """Says nothing."""


class Closed:
    """An API that asks for keys, and what issues them."""

    def __init__(self, api: System, keys: Keys) -> None:
        self.api, self.keys, self.url = api, keys, api.url

    def issue(self, name: str) -> tuple[str, str]:
        """An operator's key and its id."""
        return self.keys.issue("--role", "admin", "--name", name)


@pytest.fixture(scope="module")
def closed() -> Iterator[Closed]:
    """One for all tests here, apart from that of the other pages: those need no key."""
    folder, port = Path(tempfile.mkdtemp(prefix="yb")), free_port()
    valkey = ValkeyServer(folder)
    valkey.start()
    keys = Keys(valkey.url, folder / "data")
    keys.issue("--role", "admin", "--name", "first")
    api = System("api", YB_DATA_DIR=str(folder / "data"), YB_VALKEY_URL=valkey.url, YB_PORT=str(port))
    api.read_until('"ready"')
    wait_for_port(port)
    yield Closed(api, keys)
    api.stop(signal.SIGTERM)
    valkey.stop()
    shutil.rmtree(folder, ignore_errors=True)


async def sign_in(page: Page, key: str, name: str = "bat") -> None:
    """With the keyboard alone: the field has the focus."""
    await expect(page.get_by_role("textbox").first).to_be_focused()
    await page.keyboard.type(key)
    await page.keyboard.press("Tab")
    await page.keyboard.type(name)
    await page.keyboard.press("Enter")


async def test_an_operator_signs_in_acts_and_signs_out(browser: Browser, closed: Closed) -> None:  # noqa: F811
    key, key_id = await asyncio.to_thread(closed.issue, "ops")
    context = await browser.new_context(locale="en")
    page = await context.new_page()
    complaints = Complaints()
    complaints.watch(page, closed.url)
    await page.goto(f"{closed.url}/dashboard/limits?x=1")
    await expect(page).to_have_title("Sign in - Yellow Books Jobs")
    await sign_in(page, key)
    await expect(page).to_have_url(f"{closed.url}/dashboard/limits?x=1")
    await expect(page.locator("#line")).to_have_text("Live")  # the stream of events has the session, too
    [cookie] = await context.cookies()
    assert (cookie["name"], cookie["secure"], cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (
        "__Host-yb_session", True, True, "Lax", "/",
    )  # fmt: skip
    assert cookie["expires"] == -1
    await page.get_by_role("button", name="Pause").first.click()
    await page.get_by_role("dialog").get_by_role("textbox").fill("the provider is down")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Resume")).to_be_visible()
    await page.goto(f"{closed.url}/dashboard/audit")
    await expect(page.locator("#acts tbody tr").first).to_contain_text("ops: bat")
    await page.get_by_role("button", name="Dark").click()
    assert await page.locator("html").get_attribute("data-look") == "dark"
    assert not complaints, list(complaints)
    # The key is revoked: what runs ends by itself, and the page says so.
    await asyncio.to_thread(closed.keys, "revoke", key_id)
    await expect(page.locator("[data-banner=session]")).to_contain_text("Your session has ended.")
    await page.locator("[data-banner=session]").get_by_role("link").click()
    await expect(page).to_have_title("Sign in - Yellow Books Jobs")
    await sign_in(page, key)
    await expect(page.get_by_role("alert")).to_contain_text("This key was revoked.")
    newer, _ = await asyncio.to_thread(closed.issue, "ops")
    await page.get_by_label("Key of an operator").fill(newer)
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{closed.url}/dashboard/audit")
    await page.get_by_role("button", name="Sign out").click()
    await expect(page).to_have_title("Sign in - Yellow Books Jobs")
    await page.goto(f"{closed.url}/dashboard")
    await expect(page).to_have_title("Sign in - Yellow Books Jobs")
    await context.close()
    assert not [line for line in closed.api.lines if key[20:] in line or newer[20:] in line]


async def test_no_other_page_acts_for_him(browser: Browser, closed: Closed) -> None:  # noqa: F811
    Evil.target = closed.url
    evil = HTTPServer(("127.0.0.1", 0), Evil)  # of the same site, as ports do not part sites: the cookie goes along
    threading.Thread(target=evil.serve_forever, daemon=True).start()
    key, _ = await asyncio.to_thread(closed.issue, "guest")
    context = await browser.new_context(locale="en")
    page = await context.new_page()
    await page.goto(f"{closed.url}/dashboard")
    await sign_in(page, key)
    await expect(page.locator("#line")).to_have_text("Live")
    for button in ("Win a prize", "Another one", "And one more"):
        await page.goto(f"http://127.0.0.1:{evil.server_port}/")
        async with page.expect_response(lambda response: response.request.method == "POST") as asked:
            await page.get_by_role("button", name=button).click()
        reply = await asked.value
        assert "__Host-yb_session" in (await reply.request.all_headers())["cookie"]
        assert reply.status == 403
        await expect(page.locator("body")).to_contain_text("another site")
    await page.goto(f"http://127.0.0.1:{evil.server_port}/")
    await expect(page.frame_locator("iframe").locator("h1")).to_have_count(0)  # it shows itself to nobody
    await page.goto(f"{closed.url}/dashboard")
    await expect(page.locator("#line")).to_have_text("Live")  # and he is still signed in
    await context.close()
    await asyncio.to_thread(evil.shutdown)
    evil.server_close()


async def test_the_page_looks_well_and_says_what_is_wrong(browser: Browser, closed: Closed) -> None:  # noqa: F811
    axe = AXE.read_text("utf-8")
    for dark, language, title, wrong in (
        (False, "en", "Sign in", "This key opens nothing."),
        (True, "mn", "Нэвтрэх", "Энэ түлхүүр таарахгүй байна."),
    ):
        context = await browser.new_context(
            viewport={"width": 320, "height": 800}, color_scheme="dark" if dark else "light", locale=language
        )
        page = await context.new_page()
        complaints = Complaints()
        complaints.watch(page, closed.url)
        await page.goto(f"{closed.url}/dashboard/login")
        for step in range(2):
            assert await page.inner_text("h1") == title
            await page.evaluate(axe)
            result = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in result["violations"]] == []
            assert await page.evaluate("document.documentElement.scrollWidth") == 320
            assert await page.evaluate(WIDE) == await page.evaluate(SMALL) == []
            if not step:
                await sign_in(page, "a wrong key")
                await expect(page.get_by_role("alert")).to_contain_text(wrong)
                assert await page.get_by_role("textbox").last.input_value() == "bat"
        assert [line for line in complaints if "422" not in line] == []
        await context.close()


async def test_where_the_browser_keeps_no_session_the_page_says_why(browser: Browser, closed: Closed) -> None:  # noqa: F811
    """Plain http from another machine: here a name that is not this machine's, by way of the API as a proxy."""
    key, _ = await asyncio.to_thread(closed.issue, "plain")
    context = await browser.new_context(locale="en", proxy={"server": closed.url})
    page = await context.new_page()
    await page.goto("http://jobs.example/dashboard")
    await sign_in(page, key)
    await expect(page.get_by_role("alert")).to_contain_text("The browser did not keep the session.")
    assert await context.cookies() == []
    await context.close()
