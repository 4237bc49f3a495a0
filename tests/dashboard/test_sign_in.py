"""Who may look and act, in a real Chromium: an operator with a key, nobody without, and no page of another site."""

import asyncio
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from playwright.async_api import Browser, expect

from tests.browser import browser  # noqa: F401  the fixture
from tests.dashboard.rig import Rig, rig  # noqa: F401  the fixture
from tests.test_up import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")

KEY = "k" * 32
FORM = """<form method="post" enctype="text/plain" action="{0}/api/admin/dlq/retry"><button>Win a prize</button></form>
<form method="post" action="{0}/dashboard/choose"><input name="look" value="dark"><button>Another one</button></form>
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


async def test_an_operator_signs_in_and_no_other_page_acts_for_him(browser: Browser, rig: Rig) -> None:  # noqa: F811
    api = await asyncio.to_thread(rig.start, "api", YB_PORT=str(free_port()), YB_ADMIN_KEYS=KEY, YB_API_KEYS="a" * 32)
    Evil.target = api.url
    evil = HTTPServer(("127.0.0.1", 0), Evil)
    threading.Thread(target=evil.serve_forever, daemon=True).start()
    stranger = await browser.new_context()
    reply = await (await stranger.new_page()).request.get(f"{api.url}/dashboard")
    assert reply.status == 401
    assert 'Basic realm="yellowbooks"' in reply.headers["www-authenticate"]
    operator = await browser.new_context(http_credentials={"username": "bat", "password": KEY, "origin": api.url})
    page = await operator.new_page()
    await page.goto(f"{api.url}/dashboard")
    await expect(page.locator("#line")).to_have_text("Live")  # the stream of events has the key, too
    await page.get_by_role("button", name="Dark").click()
    assert await page.locator("html").get_attribute("data-look") == "dark"
    assert page.url == f"{api.url}/dashboard"
    for button in ("Win a prize", "Another one"):
        await page.goto(f"http://127.0.0.1:{evil.server_port}/")
        async with page.expect_response(lambda response: response.request.method == "POST") as asked:
            await page.get_by_role("button", name=button).click()
        assert (await asked.value).status == 403
        await expect(page.locator("body")).to_contain_text("another site")
    await page.goto(f"http://127.0.0.1:{evil.server_port}/")
    await expect(page.frame_locator("iframe").locator("h1")).to_have_count(0)  # it shows itself to nobody
    await stranger.close()
    await operator.close()
    await asyncio.to_thread(evil.shutdown)
    evil.server_close()
    await asyncio.to_thread(api.stop, signal.SIGTERM)
