"""Every page of the dashboard with jobs in it: small and large, light and dark, by keys, as a screen reader has it."""

import asyncio

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser import AXE, browser  # noqa: F401  the fixture
from tests.dashboard.rig import Rig, ask, looking, rig  # noqa: F401  the fixture
from tests.parts import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")

PAGES = (
    "/dashboard?q=u1",
    "/dashboard/jobs",
    "/dashboard/jobs/looked-at",
    "/dashboard/dead",
    "/dashboard/limits",
    "/dashboard/audit",
)
# WCAG 2.2, 2.5.8: what is touched is 24 px wide and high, or in a line of text.
SMALL = """() => [...document.querySelectorAll('button, input, select, summary, nav a')].filter((one) => {
  const box = one.getBoundingClientRect()
  return one.checkVisibility() && box.width && (box.width < 24 || box.height < 23.5) && one.type !== 'checkbox'
}).map((one) => one.outerHTML.slice(0, 120))"""
WIDE = """() => [...document.querySelectorAll('main *, header *, footer *')].filter((one) => one.checkVisibility()
  && !one.closest('.unseen, .scroll, .skip, thead, svg') && one.getBoundingClientRect().right > innerWidth + 0.5).map((one) => one.outerHTML.slice(0, 120))"""


async def seeded(rig: Rig) -> None:  # noqa: F811
    """Jobs that ended well, badly and not yet; once for all tests."""
    await asyncio.to_thread(rig.work)
    if (await ask(rig, "GET", "/api/jobs/looked-at"))[0] == 200:
        return
    await asyncio.to_thread(rig.post, "signin-notification", jobId="ok-1")
    await asyncio.to_thread(rig.post, "signin-notification", jobId="looked-at", email="nobody@example.com", userId="u2")
    for number, template in enumerate(
        ["evil", "weekly-summary-with-a-name-that-is-long-enough-to-be-broken", "gone", "gone"]
    ):
        await asyncio.to_thread(rig.post, "report", jobId=f"looks-{number}", user=f"u{number}", template=template)

    async def all_dead() -> bool:
        return bool((await ask(rig, "GET", "/api/admin/dlq?limit=100"))[1]["count"] >= 5)

    await eventually(all_dead, 30)


async def ready(page: Page) -> None:
    await expect(page.locator("#line")).to_have_attribute("data-line", "live")
    if "dead" in page.url:
        await expect(page.locator(".group").first).to_be_visible()
        await page.locator(".toggle").first.click()
        await expect(page.locator("[data-job]").first).to_be_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_every_page_passes_axe(browser: Browser, rig: Rig, dark: bool) -> None:  # noqa: F811
    await seeded(rig)
    axe = AXE.read_text("utf-8")
    async with looking(browser, rig, PAGES[0], dark=dark, language="mn" if dark else "en") as page:
        for path in PAGES:
            await page.goto(rig.url + path)
            await ready(page)
            if path == PAGES[-1]:
                await page.keyboard.press("?")
                await expect(page.get_by_role("dialog")).to_be_visible()
            await page.evaluate(axe)
            result = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in result["violations"]] == [], path
            assert len(result["passes"]) > 15


async def test_nothing_is_wider_than_320_pixels(browser: Browser, rig: Rig) -> None:  # noqa: F811
    await seeded(rig)
    async with looking(browser, rig, PAGES[0], width=320, language="mn") as page:  # its words are the longer ones
        for path in PAGES:
            await page.goto(rig.url + path)
            await ready(page)
            assert await page.evaluate("document.documentElement.scrollWidth") == 320, path
            assert await page.evaluate(WIDE) == [], path
            assert await page.evaluate(SMALL) == [], path


async def test_without_scripts_a_page_says_so(browser: Browser, rig: Rig) -> None:  # noqa: F811
    context = await browser.new_context(java_script_enabled=False, locale="mn")
    page = await context.new_page()
    await page.goto(f"{rig.url}/dashboard/dead")
    assert "JavaScript унтраалттай" in await page.inner_text("noscript")
    await page.get_by_role("button", name="English").click()
    assert "yellowbooks dlq" in await page.inner_text("noscript")
    assert page.url == f"{rig.url}/dashboard/dead"
    await context.close()
