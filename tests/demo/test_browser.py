"""`yellowbooks up --demo` in a real Chromium: sign in, see the mail, follow the job; on every size, by keyboard."""

import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser import AXE, browser
from tests.test_up import System, free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")
__all__ = ["browser"]

PATHS = ("/", "/?q=nothing-like-it", "/place/khar-bekh", "/nowhere", "/callback?state=x")
DONE = "#steps li[data-state=done]"
LONG = 30_000


@pytest.fixture(scope="module")
def system() -> Iterator[tuple[System, str]]:
    """A whole system with its demo site."""
    folder = Path(tempfile.mkdtemp(prefix="yb"))
    ports = {"YB_PORT": str(free_port()), "YB_DEMO_PORT": str(free_port())}
    system = System("up", "--demo", YB_DATA_DIR=str(folder), **ports)
    try:
        system.read_until("Ctrl-C stops")
        yield system, f"http://127.0.0.1:{ports['YB_DEMO_PORT']}"
    finally:
        status = system.stop()
        shutil.rmtree(folder, ignore_errors=True)
    assert status == 0


@asynccontextmanager
async def visit(
    browser: Browser, site: str, *, width: int = 1180, dark: bool = False, language: str = "en-GB"
) -> AsyncIterator[Page]:
    """A visitor; whatever the page complains of, or asks of another server than the site, fails the test."""
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", locale=language,
        reduced_motion="reduce",
    )  # fmt: skip
    page = await context.new_page()
    trouble: list[str] = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda line: trouble.append(line.text) if "Content Security Policy" in line.text else None)
    page.on("request", lambda asked: trouble.append(asked.url) if not asked.url.startswith(site) else None)
    yield page
    await context.close()
    assert trouble == []


async def sign_in(page: Page, site: str, person: str) -> None:
    await page.goto(site)
    await page.get_by_role("link", name="Sign in with GitHub").click()
    await page.get_by_label(person).check()
    await page.get_by_role("button", name="Allow and sign in").click()


async def test_a_newcomer_signs_in_and_sees_it_all_happen(browser: Browser, system: tuple[System, str]) -> None:
    up, site = system
    async with visit(browser, site) as page:
        await sign_in(page, site, "Тэмүүлэн")
        await expect(page.get_by_role("heading", name="Hello, Тэмүүлэн!")).to_be_visible()
        await expect(page.locator(DONE)).to_have_count(4, timeout=LONG)
        letter = page.frame_locator("#mail")
        await expect(letter.get_by_text("Your Yellow Books account was signed in to")).to_be_visible(timeout=LONG)
        await expect(letter.get_by_text("t***@example.com")).to_be_visible()
        await expect(page.get_by_text("Attempt 1 of 5, status: completed.")).to_be_visible()
        event = json.loads((await page.locator("pre").inner_text()).partition("\n\n")[2])
        links = await page.locator(".links a").evaluate_all("links => links.map(link => link.href)")
    job = up.ask("GET", f"/api/jobs/{event['jobId']}")[1]
    assert (job["status"], job["attempts"]) == ("completed", 1)
    assert "HeadlessChrome" in event["userAgent"] or "Chrome" in event["userAgent"]
    inbox, followed = links[:2]
    assert followed.endswith(event["jobId"])
    async with visit(browser, up.url) as page:
        await page.goto(inbox)
        await expect(page.locator("#mails li")).to_have_count(1)
        await expect(page.locator("#mails li")).to_contain_text("temuulen@example.com")
        for link in links[1:]:
            reply = await page.goto(link)
            assert reply
            assert reply.status == 200, link


async def test_the_panel_is_live(browser: Browser, system: tuple[System, str]) -> None:
    """While no worker works the last steps wait; then they come up by themselves."""
    up, site = system
    worker = up.pid_of("worker-1")
    os.kill(worker, signal.SIGSTOP)
    try:
        async with visit(browser, site) as page:
            await sign_in(page, site, "Номин")
            await expect(page.locator(DONE)).to_have_count(2, timeout=LONG)
            await expect(page.get_by_text("The mail comes up here.")).to_be_visible()
            assert await page.locator("#mail").is_hidden()
            os.kill(worker, signal.SIGCONT)
            await expect(page.locator(DONE)).to_have_count(4, timeout=LONG)
            await expect(page.frame_locator("#mail").get_by_text("n***@example.com")).to_be_visible(timeout=LONG)
            await expect(page.get_by_text("The mail comes up here.")).to_be_hidden()
    finally:
        os.kill(worker, signal.SIGCONT)


async def test_by_keyboard_alone(browser: Browser, system: tuple[System, str]) -> None:
    _, site = system
    async with visit(browser, site, language="mn-MN") as page:
        await page.goto(site)
        await page.keyboard.press("Tab")
        await expect(page.locator(".skip")).to_be_focused()
        while not await page.locator(".tools a.button").evaluate("link => link === document.activeElement"):
            await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await page.wait_for_selector(".consent")
        await page.keyboard.press("Tab")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Tab")
        await expect(page.get_by_label("Нэр")).to_be_focused()
        await page.keyboard.type("Дулмаа")
        await page.keyboard.press("Tab")
        await page.keyboard.type("dulmaa@example.com")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="Сайн байна уу, Дулмаа!")).to_be_visible()
        await expect(page.locator(DONE)).to_have_count(4, timeout=LONG)
        await expect(page.frame_locator("#mail").get_by_text("Дулмаа")).to_be_visible(timeout=LONG)
        await page.get_by_role("button", name="Гарах").press("Enter")
        await expect(page.get_by_role("link", name="GitHub-аар нэвтрэх")).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_axe_finds_nothing(browser: Browser, system: tuple[System, str], dark: bool) -> None:
    """WCAG 2.2 AA and best practices, by axe-core, on every page; contrast among them."""
    _, site = system
    axe = AXE.read_text("utf-8")

    async def look(page: Page) -> None:
        # The page's own policy lets no foreign script in: axe is put in by the tool, not by the page.
        await page.evaluate(axe)
        found = await page.evaluate(
            "axe.run(document, {iframes: false}).then(r => r.violations.map(v => [v.id, v.nodes[0].html]))"
        )
        assert found == [], page.url

    async with visit(browser, site, dark=dark) as page:
        for path in PATHS:
            await page.goto(site + path)
            await look(page)
        await page.goto(site + "/sign-in")
        await page.get_by_label("Somebody else").check()
        await page.get_by_label("E-mail").fill("nobody")
        await page.locator("form").evaluate("form => form.noValidate = true")
        await page.get_by_role("button", name="Allow").click()
        await expect(page.get_by_role("alert")).to_be_visible()
        await look(page)
        await sign_in(page, site, "Номин")
        await expect(page.locator(DONE)).to_have_count(4, timeout=LONG)
        await look(page)


@pytest.mark.parametrize("language", ["mn-MN", "en-GB"])
async def test_nothing_is_wider_than_320_pixels(browser: Browser, system: tuple[System, str], language: str) -> None:
    _, site = system
    async with visit(browser, site, width=320, language=language) as page:

        async def look() -> None:
            assert await page.evaluate("document.documentElement.scrollWidth") == 320, page.url
            wide = await page.evaluate(
                "[...document.body.querySelectorAll('*')].filter(e => !e.closest('.kinds ul, .skip, .unseen'))"
                ".filter(e => e.getBoundingClientRect().right > 320.5).map(e => e.outerHTML.slice(0, 80))"
            )
            assert wide == [], page.url
            small = await page.evaluate(
                "[...document.querySelectorAll('.button, .kinds a, .links a, .languages a, .choice')]"
                ".filter(e => e.getBoundingClientRect().height < 40).map(e => e.outerHTML)"
            )
            assert small == [], page.url

        for path in PATHS:
            await page.goto(site + path)
            await look()
        await page.goto(site + "/sign-in")
        await look()
        await page.locator("button[value=allow]").click()
        await expect(page.locator(DONE)).to_have_count(4, timeout=LONG)
        await look()


async def test_both_languages(browser: Browser, system: tuple[System, str]) -> None:
    _, site = system
    async with visit(browser, site) as page:
        await page.goto(site + "/?q=ноолуур")
        await expect(page.get_by_role("link", name="Soft Gobi")).to_be_visible()
        await page.locator(".languages a[lang=mn]").click()
        await expect(page.get_by_role("link", name="Зөөлөн говь")).to_be_visible()
        assert await page.locator("html").get_attribute("lang") == "mn"
        assert await page.locator("#q").input_value() == "ноолуур"
        await page.get_by_role("link", name="Ноолуур, хувцас").click()
        await expect(page.locator(".entry")).to_have_count(2)
        await page.get_by_role("link", name="Бүгд", exact=True).click()
        await page.locator("#q").fill("")
        await page.locator("#q").press("Enter")
        assert await page.locator(".entry").count() > 20


async def test_while_our_api_hangs_the_sign_in_does_not(browser: Browser, system: tuple[System, str]) -> None:
    up, site = system
    api = up.pid_of("api")
    async with visit(browser, site) as page:
        await page.goto(site + "/sign-in")
        os.kill(api, signal.SIGSTOP)
        try:
            await page.get_by_label("Sarnai B.").check()
            async with page.expect_response(lambda reply: "/callback" in reply.url) as answered:
                begun = time.monotonic()
                await page.get_by_role("button", name="Allow and sign in").click(no_wait_after=True)
                reply = await answered.value
                waited = time.monotonic() - begun
            assert (reply.status, waited < 1.9) == (303, True), waited  # the API is given two seconds, the visitor none
            await expect(page.get_by_text("The API does not have it yet")).to_be_visible(timeout=LONG)
            await expect(page.get_by_role("heading", name="Hello, Sarnai B.!")).to_be_visible()
        finally:
            os.kill(api, signal.SIGCONT)
        await expect(page.locator(DONE)).to_have_count(4, timeout=LONG)  # it was kept, and goes when the API is back
        await expect(page.frame_locator("#mail").get_by_text("s***@example.com")).to_be_visible(timeout=LONG)
