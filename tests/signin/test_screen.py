"""The letter on a screen, in a real Chromium: every form of it can be read (A1–A9)."""

import re
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from tests.browser import AXE, browser, opened  # noqa: F401  the fixture
from yellowbooks.mail import mailbox
from yellowbooks.mail.lint_html import contrast
from yellowbooks.signin import Letters, preview_page
from yellowbooks.signin.samples import sample_mails

pytestmark = pytest.mark.asyncio(loop_scope="session")

SENDER = mailbox("Yellow Books <no-reply@yellowbooks.example>")


def html_of(data: bytes) -> str:
    """The page as a mail program reads it from the bytes."""
    part = BytesParser(policy=policy.default).parsebytes(data).get_body(("html",))
    assert part
    return str(part.get_content())


PAGES = {f"{language}, {sample.name}": html_of(mail.data) for language, sample, mail in sample_mails(Letters(), SENDER)}
PAGES |= {
    f"{language}, noted, {sample.name}": html_of(mail.data)
    for language, sample, mail in sample_mails(Letters(reasoned=True, linked=True), SENDER)
    if sample.name in ("github", "long values", "summary", "long summary")
}

BUTTONS = ("Энэ би биш", "This was not me")

# Each text that is seen: its words, its colour, the colour behind it, its size in pixels.
SEEN = """() => {
  const seen = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node; node = walker.nextNode();) {
    const box = document.createRange(); box.selectNodeContents(node)
    if (!node.data.trim() || !box.getClientRects().length) continue
    let behind = node.parentElement
    while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement
    const style = getComputedStyle(node.parentElement)
    seen.push([node.data.trim(), style.color, behind ? getComputedStyle(behind).backgroundColor : 'rgb(255, 255, 255)',
               parseFloat(style.fontSize)])
  }
  return seen
}"""


def colour(css: str) -> str:
    """`rgb(1, 2, 3)` as `#010203`."""
    red, green, blue = map(int, re.findall(r"\d+", css)[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


async def seen(page: Page) -> list[Any]:
    found: list[Any] = await page.evaluate(SEEN)
    assert len(found) > 12
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_a4_every_text_has_contrast_and_size(browser: Browser, dark: bool) -> None:  # noqa: F811
    for name, html in PAGES.items():
        async with opened(browser, html, dark=dark) as page:
            for words, ink, ground, size in await seen(page):
                assert contrast(colour(ink), colour(ground)) >= 4.5, (name, words, ink, ground)
                assert size >= 14, (name, words)
                if words not in BUTTONS:
                    assert (colour(ground) < "#808080") == dark, (name, words)  # dark means dark, everywhere else


async def test_a7_nothing_is_wider_than_320_pixels(browser: Browser) -> None:  # noqa: F811
    for name, html in PAGES.items():
        async with opened(browser, html, width=320) as page:
            assert await page.evaluate("document.documentElement.scrollWidth") == 320, name
            right = await page.evaluate(
                "Math.max(...[...document.querySelectorAll('td, th, p, h1')].map(e => e.getBoundingClientRect().right))"
            )
            assert right <= 320, name


@pytest.mark.parametrize(
    "strip", [r"<style\b.*?</style>", r"<style\b.*?</style>|\sstyle=\"[^\"]*\"|\sclass=\"[^\"]*\""]
)
async def test_a7_without_styles_every_fact_is_still_read_in_order(browser: Browser, strip: str) -> None:  # noqa: F811
    html = PAGES["mn, github"]
    bare = re.sub(strip, "", html, flags=re.DOTALL)
    assert bare != html
    async with opened(browser, bare, width=320) as page:
        words = (await page.inner_text("body")).partition("Сайн байна уу")[2]  # after the line for the list of mails
        assert await page.evaluate("document.documentElement.scrollWidth") == 320
    places = [words.index(fact) for fact in (
        " Бат,", "амжилттай нэвтэрсэн", "b***@example.com", "github", "192.0.2.100", "Chrome, Linux\n", "2025 оны 12 сар 19 өдөр 07:00\n",
        "Хэрэв та энэ", "Баярлалаа,", "GitHub бүртгэлээ мөн",
    )]  # fmt: skip
    assert places == sorted(places)


async def test_a1_a3_what_a_screen_reader_says(browser: Browser) -> None:  # noqa: F811
    async with opened(browser, PAGES["mn, github"]) as page:
        tree = await page.locator("body").aria_snapshot()
        assert await page.evaluate("document.documentElement.lang") == "mn"
        assert await page.title() == "🔐 Таны бүртгэлд нэвтэрсэн байна - Yellow Books"
    assert tree.count("- table") == 1  # the tables of the layout are silent
    assert tree.count("- heading") == 1
    assert [row.strip() for row in re.findall(r"- rowheader \"(.*?)\"", tree)] == [
        "Имэйл",
        "Provider",
        "IP Address",
        "Browser",
        "Огноо",
    ]
    assert not re.search(r"[📋📧🌐📍💻⏰⚠]", tree)
    assert "Chrome, Linux ·" not in tree  # the line for the list of mails is hidden


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_a3_axe_finds_nothing(browser: Browser, dark: bool) -> None:  # noqa: F811
    for name in ("mn, github", "en, unknown provider", "mn, long values", "mn, noted, github", "en, noted, summary"):
        async with opened(browser, PAGES[name], dark=dark) as page:
            await page.add_script_tag(path=AXE)
            # A mail has no landmarks: it stands in the page of a mail program.
            result = await page.evaluate(
                "axe.run({rules: {region: {enabled: false}, 'landmark-one-main': {enabled: false}}})"
            )
        assert [(one["id"], one["nodes"][0]["html"]) for one in result["violations"]] == [], name
        assert len(result["passes"]) > 10


async def test_a4_the_button_is_large_enough_to_touch(browser: Browser) -> None:  # noqa: F811
    async with opened(browser, PAGES["mn, noted, github"], width=320) as page:
        box = await page.locator("a").bounding_box()
    assert box
    assert box["height"] >= 44
    assert box["width"] >= 44


async def test_l6_the_letters_of_mongolian_are_drawn(browser: Browser) -> None:  # noqa: F811
    """A letter that the font lacks is drawn as the box that stands for any missing one."""
    letters = "".join(
        f"<span style=\"font:16px Arial,'Noto Sans',sans-serif\">{letter * 8}</span><br>" for letter in "ӨөҮү\U0010fffd"
    )
    async with opened(browser, letters) as page:
        shots = [await span.screenshot() for span in await page.locator("span").all()]
    assert len(set(shots)) == 5


async def test_the_preview_is_a_page_with_every_form(browser: Browser, tmp_path: Path) -> None:  # noqa: F811
    async with opened(browser, preview_page(Letters(), SENDER), width=1400) as page:
        section = page.locator("section").first
        frames = {name: section.frame_locator(f"iframe.{name}") for name in ("light", "dark", "narrow", "bare")}
        for frame in frames.values():
            assert (
                "Hello Bat" in await frame.locator("h1").inner_text() or "Бат" in await frame.locator("h1").inner_text()
            )
        grounds = [
            colour(await frames[name].locator("table.card").evaluate("e => getComputedStyle(e).backgroundColor"))
            for name in ("light", "dark")
        ]
        await section.screenshot(path=tmp_path / "preview.png")
    assert grounds == ["#ffffff", "#1b1a17"]
    assert (tmp_path / "preview.png").stat().st_size > 20_000
