"""The site of the documents: it is built, its links lead somewhere, and it can be read on a telephone."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from playwright.async_api import Browser

from tests.browser import AXE, browser  # noqa: F401  the fixture
from tests.docs.page import ROOT, pages

pytestmark = pytest.mark.asyncio(loop_scope="session")


def builder() -> ModuleType:
    """scripts/site/build.py, which is no package."""
    spec = importlib.util.spec_from_file_location("site_builder", ROOT / "scripts/site/build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    builder().Site(folder).build()
    return folder


async def test_every_document_has_its_page_and_every_link_leads_somewhere(site: Path) -> None:
    found = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    assert len(found) == len(set(pages()) | {ROOT / "CHANGELOG.md"})
    assert {"index.html", "guide.html", "decisions/index.html", "decisions/0001-valkey-and-not-a-table.html"} <= found
    assert list(builder().broken(site)) == []


async def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<h1 id="here"></h1><a href="b.html"></a><a href="#here"></a><a href="#gone"></a>')
    assert list(builder().broken(tmp_path)) == ["a.html: b.html is not there", "a.html: #gone has no such heading"]


async def test_it_can_be_read_in_a_browser(site: Path, browser: Browser) -> None:  # noqa: F811  the fixture
    trouble: list[str] = []
    for width, dark in ((320, True), (1200, False)):
        context = await browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", bypass_csp=True
        )
        page = await context.new_page()
        page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
        for name in ("index.html", "guide.html", "settings.html", "decisions/index.html"):
            await page.goto((site / name).as_uri())
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} at {width}"
            await page.evaluate(AXE.read_text("utf-8"))
            found = await page.evaluate("axe.run({preload: false}).then(found => found.violations.map(one => one.id))")
            assert found == [], f"{name} at {width}"
        await context.close()
    assert trouble == []
