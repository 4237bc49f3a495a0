"""From a sign-in to the application that ends the sessions, for real: processes, SMTP, a scanner, Chromium, a webhook."""

import re
import urllib.error
import urllib.request
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from playwright.async_api import Browser, Page

from tests.browser import AXE, browser  # noqa: F401  the fixture
from tests.notme.test_notme import SECRETS, App, app, verifies  # noqa: F401  the fixture
from tests.parts import eventually
from tests.test_up import EVENT, PATH, System, free_port
from yellowbooks import wiring
from yellowbooks.settings import SettingsError, load


class Server:
    """An SMTP server that keeps what it takes."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(envelope.content)
        return "250 taken"


def link_in(data: bytes) -> str:
    """The link of a mail's text, which is that of its HTML too."""
    mail = BytesParser(policy=policy.default).parsebytes(data)
    text, html = (str(part.get_content()) for part in mail.iter_parts())  # type: ignore[attr-defined]
    [link] = re.findall(r"^(http\S+)\r?$", text, re.MULTILINE)
    assert re.findall(r'href="([^"]*)"', html) == [link]
    return str(link)


def scan(link: str) -> None:
    """What a mail scanner does: opens the link in every way but a button."""
    for method in ("GET", "HEAD", "GET"):
        with urllib.request.urlopen(urllib.request.Request(link, method=method), timeout=10) as reply:
            assert reply.status == 200


@pytest.mark.asyncio(loop_scope="session")
async def test_a_person_who_says_it_was_not_me_is_signed_out_everywhere(
    browser: Browser,  # noqa: F811
    app: Any,  # noqa: F811
    short_folder: Path,
    tmp_path: Path,
) -> None:
    hook, handler = app()
    server, port = Server(), free_port()
    controller = Controller(server, hostname="127.0.0.1", port=free_port())
    controller.start()
    system = System(
        "up", YB_PORT=str(port), YB_DATA_DIR=str(short_folder), YB_SMTP_URL=f"smtp://127.0.0.1:{controller.port}?starttls=never",
        YB_MAIL_FROM="Yellow Books <no-reply@yellowbooks.example>", YB_MAIL_SECRET="a-secret-of-the-tests",
        YB_NOTIFY="new_device", YB_PUBLIC_URL=f"http://127.0.0.1:{port}", YB_LINK_KEYS="a-key-of-the-links-1",
        YB_REVOKE_URL=hook, YB_REVOKE_SECRETS=SECRETS[0],
    )  # fmt: skip
    try:
        system.read_until("schema ")
        status, answer = system.ask("POST", PATH, EVENT)
        assert (status, answer["notify"]) == (202, "new_device")
        await eventually(lambda: server.mails, 30)
        link = link_in(server.mails[0])
        scan(link)
        await look_and_press(browser, link, tmp_path)
        await eventually(lambda: handler.came, 30)
        [(headers, body)] = handler.came
        assert verifies(headers, body, SECRETS[0], int(headers["webhook-timestamp"]))
        assert f'"data":{{"userId":"u1","jobId":"{answer["jobId"]}"}}' in body.decode()
        with urllib.request.urlopen(urllib.request.Request(link, method="POST"), timeout=10) as reply:
            assert reply.status == 200  # pressed again: the same words, and no second webhook
        job = system.follow(headers["webhook-id"], "completed")
        assert (job["type"], job["attempts"]) == ("signin-not-me", 1)
        assert len(handler.came) == 1
        assert "/not-me/" not in "".join(system.lines)  # a link stands in no log
    finally:
        system.stop()
        controller.stop()


async def look_and_press(browser: Browser, link: str, folder: Path) -> None:  # noqa: F811
    """The page without any script, light and dark, wide and narrow; then the button."""
    for dark, width in ((False, 800), (True, 320)):
        context = await browser.new_context(
            java_script_enabled=False,
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": 800},
        )
        page = await context.new_page()
        told: list[str] = []
        page.on("console", lambda message, told=told: told.append(message.text))  # a broken policy is told here
        await page.goto(link)
        assert await page.locator("h1").inner_text() == "Энэ нэвтрэлтийг та хийгээгүй юу?"
        button = page.locator("button")
        box = await button.bounding_box()
        assert box
        assert box["height"] >= 44
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        await page.screenshot(path=folder / f"ask-{width}.png")
        await page.get_by_role("link", name="English").click()
        assert await page.locator("h1").inner_text() == "Was this sign-in not you?"
        await page.go_back()
        assert told == []
        await context.close()
    await axe_finds_nothing(browser, link)
    context = await browser.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(link)
    await page.get_by_role("button").click()
    assert await page.locator("h1").inner_text() == "Хүсэлтийг хүлээн авлаа"
    assert await page.locator("button").count() == 0
    await context.close()


async def axe_finds_nothing(browser: Browser, link: str) -> None:  # noqa: F811
    """Accessibility, in both schemes; the policy of the page is set aside for the tool alone."""
    for scheme in ("light", "dark"):
        context = await browser.new_context(bypass_csp=True, color_scheme=scheme)  # type: ignore[arg-type]
        page: Page = await context.new_page()
        await page.goto(link)
        await page.add_script_tag(path=AXE)
        result = await page.evaluate("axe.run()")
        assert [(one["id"], one["nodes"][0]["html"]) for one in result["violations"]] == []
        assert len(result["passes"]) > 10
        await context.close()


def test_a_link_without_what_it_needs_is_a_mistake_at_the_start(tmp_path: Path) -> None:
    for settings, name in (
        ({"YB_LINK_KEYS": "a-key-of-the-links-1"}, "YB_PUBLIC_URL"),
        ({"YB_REVOKE_URL": "https://app.example.mn/hook", "YB_PUBLIC_URL": "https://x.mn"}, "YB_LINK_KEYS"),
        (
            {
                "YB_LINK_KEYS": "a-key-of-the-links-1", "YB_PUBLIC_URL": "https://x.mn",
                "YB_REVOKE_URL": "https://app.example.mn/hook", "YB_REVOKE_SECRETS": "no-secret-at-all-of-ours",
            },
            "YB_REVOKE_SECRETS",
        ),
    ):  # fmt: skip
        with pytest.raises(SettingsError, match=f"^{name}: "):
            wiring.check(load(settings, tmp_path / ".env").settings)
    wiring.check(load({"YB_PUBLIC_URL": "https://jobs.example.com"}, tmp_path / ".env").settings)


@pytest.mark.parametrize(
    "url", ["http://jobs.example.com", "https://", "https://a@jobs.example.com", "https://jobs.example.com/under"]
)
def test_an_address_that_nobody_should_be_sent_to_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="YB_PUBLIC_URL"):
        load({"YB_PUBLIC_URL": url}, tmp_path / ".env")
