"""What pages say in passing is there too: commands and their options, settings, make's targets, modules, files, links."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.docs.page import ROOT, pages
from yellowbooks.cli import main
from yellowbooks.settings import FILES, NAMES, NOT_OURS

PAGES = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in pages()}
CLIENTS = {"YB_URL", "YB_API_KEY"}  # what a web app reads, not we
SYNOPSES = "docs/commands.md"  # written from the commands' own help, which shows them indented


def tokens(text: str) -> Iterator[Token]:
    for token in MarkdownIt().enable("table").parse(text):
        yield token
        yield from token.children or ()


def inline(text: str) -> Iterator[str]:
    return (token.content for token in tokens(text) if token.type == "code_inline")


def fault_of(words: list[str]) -> str | None:
    """What is wrong with a command line of ours, whose arguments may be placeholders."""
    command: click.Command = main
    for word in words:
        if isinstance(command, click.Group) and not word.startswith("-"):
            names = word.split("|")
            if not all(name in command.commands for name in names):
                return f"there is no command «{word}»"
            command = command.commands[names[0]]
        elif word.startswith("--"):
            known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)} | {
                "--help",
                "--version",
            }
            if word.partition("=")[0] not in known:
                return f"there is no option «{word}» of «{command.name}»"
    return None


def of_ours(code: str) -> Iterator[list[str]]:
    for one in re.split(r" · |; | && ", code):
        plain = re.sub(r"[\[\]…]", " ", one)
        if found := re.match(r"(?:[A-Z_]+=\S+ )*yellowbooks (?=[a-z-])", plain):
            yield re.sub(r"[\"'].*?[\"']", "x", plain[found.end() :]).split()


@pytest.mark.parametrize("name", list(PAGES))
def test_commands_and_settings_are_there(name: str) -> None:
    for code in inline(PAGES[name]):
        for words in of_ours(code):
            assert fault_of(words) is None, f"{name}: `{code}`: {fault_of(words)}"
        for setting in re.findall(r"\bYB_[A-Z_]*[A-Z]\b", code):
            assert setting in NAMES | FILES or setting in NOT_OURS | CLIENTS, f"{name}: {setting} is no setting"
        for module in re.findall(r"\bpython -m ((?:tests|bench|yellowbooks)[\w.]*)", code):
            assert importlib.util.find_spec(module), f"{name}: there is no module {module}"
        for target in re.findall(r"^make ([a-z]+)$", code):
            assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.M), f"{name}: make {target}"


def test_words_that_are_not_there_are_found() -> None:
    assert fault_of(["jobs", "explode"]) == "there is no command «explode»"
    assert fault_of(["worker", "--health-prot", "1"]) == "there is no option «--health-prot» of «worker»"
    assert fault_of(["mail", "suppression", "list|show", "ADDRESS"]) is None
    assert list(of_ours("YB_KINDS=x yellowbooks dlq requeue --cause … --pace 10")) == [
        ["dlq", "requeue", "--cause", "--pace", "10"]
    ]


def slug(heading: str) -> str:
    """The anchor that a heading has (as GitHub makes it)."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    found = list(tokens(text))
    return {slug(found[n + 1].content) for n, token in enumerate(found) if token.type == "heading_open"}


@pytest.mark.parametrize("name", list(PAGES))
def test_links_lead_somewhere(name: str) -> None:
    for token in tokens(PAGES[name]):
        target = (
            token.attrGet("href")
            if token.type == "link_open"
            else token.attrGet("src")
            if token.type == "image"
            else None
        )
        if not target or re.match(r"[a-z]+:", str(target)):
            continue
        path, _, anchor = str(target).partition("#")
        where = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert where.exists(), f"{name}: {target} is not there"
        if anchor and where.suffix == ".md":
            assert anchor in anchors(where.read_text("utf-8")), f"{name}: {target} has no such heading"


@pytest.mark.parametrize("name", [name for name in PAGES if name != SYNOPSES])
def test_code_stands_in_fences(name: str) -> None:
    """An indented block has no language, so nobody knows what to do with it."""
    found = list(tokens(PAGES[name]))
    assert not [token for token in found if token.type == "code_block"]
    assert {token.info for token in found if token.type == "fence" and token.level} <= {"text"}, "only talk in a list"


def test_every_page_is_reached_from_the_first_ones() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md", ROOT / "docs/summary.md"]
    while todo:
        path = todo.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        for token in tokens(path.read_text("utf-8")):
            target = str(token.attrGet("href") or "") if token.type == "link_open" else ""
            where = (path.parent / target.partition("#")[0]).resolve()
            if target and ":" not in target:
                todo += sorted(where.glob("*.md")) if where.is_dir() else [where]
    assert {ROOT / name for name in PAGES} - seen == set()
