"""Makes the site of the documents: `make site`, or `python scripts/site/build.py [FOLDER]`; checks every link of it.

One page a document, one style sheet, no script, nothing from elsewhere. Files of the repository that a page links to
come along as text, so that the site stands alone.
"""

import html
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
GROUPS = {
    "Begin": ("README.md", "docs/guide.md", "docs/summary.md", "docs/quick-reference.md", "docs/demo.md"),
    "Use": ("docs/integrations", "docs/mail.md", "docs/less-noise.md", "docs/settings.md", "docs/commands.md"),
    "Run": (
        "docs/deploy.md", "docs/operations.md", "docs/dashboard.md", "docs/metrics.md", "docs/alerts.md",
        "docs/security.md", "docs/drill.md", "docs/failover.md", "docs/operators-api.md",
    ),
    "Understand": ("docs/design.md", "docs/engine.md", "docs/mail-delivery.md", "docs/mail-trust.md", "docs/decisions"),
    "Measured": (
        "docs/figures.md", "docs/benchmarks.md", "docs/benchmarks-mail.md", "docs/faults.md", "docs/kills.md",
        "docs/explorer.md",
    ),
    "Change": ("CONTRIBUTING.md", "CHANGELOG.md"),
    "More": (),  # pages that nobody gave a place
}  # fmt: skip


@dataclass
class Page:
    """A document and where it goes."""

    source: Path
    group: str
    tokens: list[Token] = field(default_factory=list)

    @property
    def target(self) -> str:
        """Its path in the site."""
        name = self.source.relative_to(ROOT).as_posix().removeprefix("docs/").removesuffix(".md")
        name = "index" if name == "README" else name.removesuffix("/README") + ("/index" if "/README" in name else "")
        return f"{name}.html"

    @property
    def title(self) -> str:
        """Its first heading."""
        place = next(n for n, token in enumerate(self.tokens) if token.type == "heading_open")
        return self.tokens[place + 1].content


class Site:
    """All pages, and the files that they link to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
        self.pages = [Page(path, group) for path, group in _sources()]
        for page in self.pages:
            page.tokens = self.markdown.parse(page.source.read_text("utf-8"))
        self.by_source = {page.source: page for page in self.pages}
        self.template = (HERE / "page.html").read_text("utf-8")

    def build(self) -> None:
        """Write everything anew."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        shutil.copy(HERE / "site.css", self.folder / "site.css")
        for page in self.pages:
            self._write(page)

    def _write(self, page: Page) -> None:
        seen: dict[str, int] = {}
        for place, token in enumerate(page.tokens):
            if token.type == "heading_open":
                name = _slug(page.tokens[place + 1].content)
                token.attrSet("id", f"{name}-{seen[name]}" if name in seen else name)
                seen[name] = seen.get(name, 0) + 1
            for child in token.children or ():
                attribute = {"link_open": "href", "image": "src"}.get(child.type)
                if attribute:
                    child.attrSet(attribute, self._leads(page, str(child.attrGet(attribute))))
        body = self.markdown.renderer.render(page.tokens, self.markdown.options, {})
        body = body.replace("<table>", '<div class="wide" tabindex="0"><table>').replace("</table>", "</table></div>")
        body = body.replace("<th></th>", "<td></td>")  # a header of nothing heads nothing
        body = body.replace("<pre>", '<pre tabindex="0">')
        up = "../" * page.target.count("/")
        values = {"title": html.escape(page.title), "body": body, "nav": self._nav(page), "up": up}
        path = self.folder / page.target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], self.template), "utf-8")

    def _leads(self, page: Page, target: str) -> str:
        """Where a link of a document leads in the site."""
        name, hash_, anchor = target.partition("#")
        if not name or ":" in name:
            return target
        source = (page.source.parent / name).resolve()
        if source.is_dir():
            below = [one for one in self.pages if source in one.source.parents]
            source = min(below, key=lambda one: one.target).source if below else self._listing(source)
        there = self.by_source.get(source)
        goal = there.target if there else self._brought(source)
        return os.path.relpath(goal, Path(page.target).parent) + hash_ + anchor

    def _brought(self, source: Path) -> str:
        """A file of the repository, in the site."""
        picture = source.suffix in (".png", ".svg", ".jpg")
        inside = source.relative_to(ROOT if source.is_relative_to(ROOT) else self.folder).as_posix()
        goal = inside if inside.startswith("files/") else f"files/{inside}{'' if picture else '.txt'}"
        path = self.folder / goal
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, path)
        return goal

    def _listing(self, folder: Path) -> Path:
        inside = (one for one in folder.iterdir() if one.name[0] not in "._")
        names = sorted(f"{one.name}/" if one.is_dir() else one.name for one in inside)
        path = self.folder / "files" / f"{folder.relative_to(ROOT)}/index.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(names) + "\n", "utf-8")
        return path

    def _nav(self, here: Page) -> str:
        parts = []
        for group in GROUPS:
            items = []
            for page in self.pages:
                if page.group == group:
                    where = os.path.relpath(page.target, Path(here.target).parent)
                    current = ' aria-current="page"' if page is here else ""
                    items.append(f'<li><a href="{where}"{current}>{html.escape(page.title)}</a></li>')
            parts += [f"<h2>{group}</h2><ul>", *items, "</ul>"] if items else []
        return "".join(parts)


def _sources() -> Iterator[tuple[Path, str]]:
    """Every document with its group."""
    seen: set[Path] = set()
    for group, names in GROUPS.items():
        for name in names:
            path = ROOT / name
            inside = sorted(path.rglob("*.md"), key=lambda one: (one.name != "README.md", one))
            for one in inside or [path]:
                seen.add(one)
                yield one, group
    yield from ((path, "More") for path in sorted((ROOT / "docs").rglob("*.md")) if path not in seen)


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


class _Reader(HTMLParser):
    """What a page links to, and what can be linked to in it."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag says of links."""
        for name, value in attrs:
            if tag != "meta" and name in ("href", "src") and value:
                self.links.append(value)
            elif name == "id" and value:
                self.ids.add(value)


def broken(folder: Path) -> Iterator[str]:
    """The links of a built site that lead nowhere, a line each."""
    pages = {}
    for path in folder.rglob("*.html"):
        pages[path.resolve()] = reader = _Reader()
        reader.feed(path.read_text("utf-8"))
    for path, reader in pages.items():
        for link in reader.links:
            name, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            where = (path.parent / name).resolve() if name else path
            if not where.is_file():
                yield f"{path.relative_to(folder.resolve())}: {link} is not there"
            elif anchor and where in pages and anchor not in pages[where].ids:
                yield f"{path.relative_to(folder.resolve())}: {link} has no such heading"


def main() -> int:
    """The exit status is 1 where a link leads nowhere."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/site")
    site = Site(folder)
    site.build()
    found = sorted(broken(folder))
    print(*found, f"{len(site.pages)} pages in {folder}, {len(found)} broken links", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
