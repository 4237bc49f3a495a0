"""Takes the README's pictures of the demo: `python -m tests.demo.shots` writes docs/images/demo-*.png.

A whole system is started on free ports and a data folder of its own; nothing of it is left.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.browser import chromium
from tests.test_up import System, free_port

IMAGES = Path(__file__).parent.parent.parent / "docs/images"
MOST_BYTES = 150_000


@asynccontextmanager
async def page_of(
    browser: Browser, language: str, width: int, height: int, *, dark: bool = False
) -> AsyncIterator[Page]:
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", locale=language
    )
    page = await context.new_page()
    yield page
    await context.close()


async def sign_in(page: Page, site: str) -> None:
    """From the first page to the mail."""
    await page.goto(site)
    await page.locator(".tools a.button").click()
    await page.locator("button[value=allow]").click()
    await expect(page.locator("#steps li[data-state=done]")).to_have_count(4, timeout=20_000)
    await expect(page.frame_locator("#mail").locator("h1").first).to_be_visible(timeout=20_000)


async def shoot(browser: Browser, site: str, folder: Path) -> None:
    """Every picture."""
    async with page_of(browser, "mn-MN", 1180, 800) as page:
        await page.goto(site)
        await page.screenshot(path=folder / "demo-directory.png")
        await page.locator(".tools a.button").click()
        await page.wait_for_selector(".consent")
        await page.set_viewport_size({"width": 760, "height": 800})
        await page.screenshot(path=folder / "demo-stand-in.png")
    async with page_of(browser, "en-GB", 1180, 860) as page:
        await sign_in(page, site)
        await page.screenshot(path=folder / "demo-welcome.png")
    async with page_of(browser, "mn-MN", 390, 800, dark=True) as page:
        await sign_in(page, site)
        await page.screenshot(path=folder / "demo-phone-dark.png")


async def main() -> None:
    """Start the system, take the pictures, end it; says what each weighs."""
    IMAGES.mkdir(exist_ok=True)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="yb") as data:
        settings = {"YB_PORT": str(port), "YB_DEMO_PORT": str(free_port()), "YB_DATA_DIR": data}
        system = System("up", "--demo", **settings)
        system.read_until("Ctrl-C stops")
        try:
            async with chromium() as browser:
                await shoot(browser, f"http://127.0.0.1:{settings['YB_DEMO_PORT']}", IMAGES)
        finally:
            system.stop()
    for path in sorted(IMAGES.glob("demo-*.png")):
        size = path.stat().st_size
        sys.stdout.write(f"{path.name} {size / 1000:.0f} kB\n")
        if size > MOST_BYTES:
            raise SystemExit(f"{path.name} is over {MOST_BYTES} bytes; make it smaller")


if __name__ == "__main__":
    asyncio.run(main())
