"""The checklist over the HTML of a mail: what a mail program, a small screen and a screen reader need."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "img", "hr", "link", "input", "col", "area", "base", "embed", "source", "wbr"}
LIVE = {"script", "form", "iframe", "object", "embed", "link", "base", "video", "audio", "svg", "input", "button"}
CONTRAST = 4.5  # WCAG 2.2, success criterion 1.4.3
SMALLEST = 14.0  # pixels
NARROW = 320  # pixels
_DARK = re.compile(r"@media[^{]*prefers-color-scheme:\s*dark[^{]*\{((?:[^{}]*\{[^{}]*\})*)\s*\}")
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_HEX = re.compile(r"#([0-9a-f]{6}|[0-9a-f]{3})\b", re.IGNORECASE)
_WORD_ENGINE = re.compile(
    r"display\s*:\s*(?:inline-)?(?:flex|grid)|position\s*:|float\s*:|background-image|url\(|var\(--", re.IGNORECASE
)

Found = tuple[int, str, str]


@dataclass(slots=True)
class Element:
    """One element: where it stands, and what stands in it."""

    tag: str
    attrs: dict[str, str]
    line: int
    parent: "Element | None"
    words: list[tuple[str, int]] = field(default_factory=list)
    labelled: bool = False  # a table whose rows have headers: data, not layout

    def trail(self) -> Iterator["Element"]:
        """The element, then what it stands in."""
        here: Element | None = self
        while here:
            yield here
            here = here.parent

    @property
    def table(self) -> "Element | None":
        """The table that it stands in."""
        return next((one for one in self.trail() if one.tag == "table"), None)

    @property
    def style(self) -> dict[str, str]:
        """Its inline style."""
        return _style(self.attrs.get("style", ""))

    @property
    def hidden(self) -> bool:
        """Whether nobody sees it."""
        return any(one.style.get("display") == "none" for one in self.trail())

    @property
    def silent(self) -> bool:
        """Whether a screen reader leaves it out."""
        return any(one.attrs.get("aria-hidden") == "true" for one in self.trail())


class Page(HTMLParser):
    """The elements of a mail's HTML in the order in which they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.css = ""
        self.title = ""
        self._open: Element | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self.getpos()[0], self._open)
        self.elements.append(element)
        if tag == "th" and element.attrs.get("scope") and (table := element.table):
            table.labelled = True
        if tag not in VOID:
            self._open = element

    def handle_endtag(self, tag: str) -> None:
        for element in self._open.trail() if self._open else ():
            if element.tag == tag:
                self._open = element.parent
                return

    def handle_data(self, data: str) -> None:
        here = self._open
        if here and here.tag == "style":
            self.css += data
        elif here and here.tag == "title":
            self.title += data
        elif here and data.strip():
            here.words.append((" ".join(data.split()), self.getpos()[0] + _leading_lines(data)))

    @property
    def lang(self) -> str:
        """The page's language."""
        return next((one.attrs.get("lang", "") for one in self.all("html")), "")

    @property
    def words(self) -> list[tuple[str, int]]:
        """What is seen or heard, with its line."""
        return [word for one in self.elements for word in one.words]

    @property
    def facts(self) -> list[tuple[str, int]]:
        """The values of the table of facts."""
        cells = (one for one in self.all("td") if one.table and one.table.labelled)
        return [(" ".join(word for word, _ in cell.words), cell.line) for cell in cells if cell.words]

    def all(self, *tags: str) -> Iterator[Element]:
        """The elements of these tags."""
        return (one for one in self.elements if one.tag in tags)

    def findings(self, subject: str, own: str) -> Iterator[Found]:
        """Line, rule and reason of what is wrong; `own` is the domain that links may lead to."""
        yield from self._document(subject)
        yield from self._structure()
        yield from self._looks()
        for one in self.elements:
            yield from _live(one, own)

    def _document(self, subject: str) -> Iterator[Found]:
        root = next(self.all("html"), None)
        if not root or not root.attrs.get("lang") or root.attrs.get("dir") not in ("ltr", "rtl"):
            yield 1, "A1", "<html> needs lang and dir"
        if self.title.strip() != subject.strip():
            yield 1, "A2", "<title> must be the subject"
        metas = {one.attrs.get("name", ""): one.attrs.get("content", "") for one in self.all("meta")}
        if not any(one.attrs.get("charset", "").lower() == "utf-8" for one in self.all("meta")):
            yield 1, "A2", 'there is no <meta charset="utf-8">'
        for name in ("viewport", "color-scheme", "supported-color-schemes"):
            if not metas.get(name):
                yield 1, "A2", f'there is no <meta name="{name}">'
        first = next((one for one in self.elements if one.words), None)
        if not first or not first.hidden or first.words[0][0] == subject:
            yield 1, "A5", "the page must begin with a hidden line for the list of mails, which is not the subject"
        if not _DARK.search(self.css):
            yield 1, "A6", "there is no @media (prefers-color-scheme: dark); a tool that inlines may have dropped it"

    def _structure(self) -> Iterator[Found]:
        if len(list(self.all("h1"))) != 1:
            yield 1, "A3", "there must be one <h1>"
        for table in self.all("table"):
            layout = table.attrs.get("role") == "presentation"
            if layout == table.labelled:
                yield table.line, "A3", 'a table is role="presentation", or has <th scope="row"> for its facts'
            if any(table.attrs.get(name) != "0" for name in ("border", "cellpadding", "cellspacing")):
                yield table.line, "A3", 'a table needs border="0" cellpadding="0" cellspacing="0"'
        for one in self.elements:
            for words, line in one.words:
                if not one.silent and not one.hidden and unicodedata.category(words[0]) == "So":
                    yield line, "A3", f'«{words[0]}» is read aloud; wrap it in <span aria-hidden="true">'

    def _looks(self) -> Iterator[Found]:
        dark = [
            ([selector.split() for selector in selectors.split(",")], _style(body))
            for block in _DARK.findall(self.css)
            for selectors, body in _RULE.findall(block)
        ]
        if found := _WORD_ENGINE.search(self.css):
            yield 1, "A7", f"«{found[0]}» is not known to Outlook"
        for one in self.elements:
            if found := _WORD_ENGINE.search(one.attrs.get("style", "")):
                yield one.line, "A7", f"«{found[0]}» is not known to Outlook"
            width = one.attrs.get("width", one.style.get("width", ""))
            if re.fullmatch(r"\d+(?:px)?", width) and int(width.removesuffix("px")) > NARROW:
                yield one.line, "A7", f"a width of {width} does not fit a screen of {NARROW} pixels; use max-width"
            if not one.words or one.hidden:
                continue
            size = re.match(r"([\d.]+)px", _inherited(one, "font-size", []) or "16px")
            if size and float(size[1]) < SMALLEST:
                yield one.words[0][1], "A4", f"text of {size[0]} is smaller than {SMALLEST:g}px"
            for name, rules in (("light", []), ("dark", dark)):
                ratio = _ratio(one, rules, name)
                if ratio < CONTRAST:
                    yield one.words[0][1], "A4", f"a contrast of {ratio:.1f} in {name} mode is below {CONTRAST}"


Rules = list[tuple[list[list[str]], dict[str, str]]]


def read_page(html: str) -> Page:
    """Parse a mail's HTML."""
    page = Page()
    page.feed(html)
    page.close()
    return page


def contrast(one: str, other: str) -> float:
    """The contrast of two colours `#rrggbb`, 1 to 21 (WCAG 2.2)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _ratio(element: Element, rules: Rules, mode: str) -> float:
    ink = _HEX.search(_inherited(element, "color", rules) or "#000000")
    ground = _HEX.search(_inherited(element, "background-color", rules) or "#ffffff")
    if not ink or not ground:
        return CONTRAST if mode == "light" else 1.0  # a colour by name is not computed; Chromium's test sees ours
    return contrast(ink[0], ground[0])


def _inherited(element: Element, name: str, rules: Rules) -> str | None:
    for one in element.trail():
        value = one.style.get(name)
        for selectors, style in rules:
            if name in style and any(_matches(one, selector) for selector in selectors):
                value = style[name]
        if value:
            return value
    return None


def _matches(element: Element, selector: list[str]) -> bool:
    """Whether a selector of tags, classes and spaces is the element's."""
    if not selector or not _is(element, selector[-1]):
        return False
    above = list(element.trail())[1:]
    for part in reversed(selector[:-1]):
        while above and not _is(above[0], part):
            above.pop(0)
        if not above:
            return False
        above.pop(0)
    return True


def _is(element: Element, simple: str) -> bool:
    tag, *classes = simple.split(".")
    return (not tag or tag == element.tag) and set(classes) <= set(element.attrs.get("class", "").split())


def _style(text: str) -> dict[str, str]:
    pairs = (one.partition(":") for one in text.replace("!important", "").split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if value.strip()}


def _leading_lines(data: str) -> int:
    return data[: len(data) - len(data.lstrip())].count("\n")


def _live(one: Element, own: str) -> Iterator[Found]:
    if one.tag in LIVE:
        yield one.line, "H8", f"<{one.tag}> has no place in this mail"
    if one.tag == "img":
        yield one.line, "H8", "a picture is fetched from elsewhere, which tells who reads; leave it out"
    for name in one.attrs:
        if name.startswith("on"):
            yield one.line, "H8", f"{name} is a script"
    href = one.attrs.get("href", "")
    if one.tag == "a" and not re.match(rf"https://(?:[\w-]+\.)*{re.escape(own)}(?:[/?#]|$)", href):
        yield one.line, "I4", f"a link may lead to https://{own} alone, not to «{href[:40]}»"
