"""Holds pages to the code that ran: each code block of docs/integrations/*.md is a file or a region of one.

    ```ts title="examples/nextjs/auth.ts"            the whole file
    ```python title="examples/django/app.py#hook"    what stands between «region hook» and «endregion hook» there

The marks are comments of their own line (`# region hook`, `// endregion hook`); they are left out and the region moves
to the left margin. Blocks of `text` and `console` are talk and need no file; any other language does. A page says in a
line «Run by `tests/…`» which tests run its files, and each of these tests names the folder of a file of the page.
`python -m tests.pages` writes the blocks anew from the files.
"""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from tests.docs.page import ROOT, blocks

PAGES = sorted((ROOT / "docs/integrations").glob("*.md"))
FREE = ("text", "console")
_TITLED = re.compile(r"^```(?P<language>\w*) title=\"(?P<title>[^\"]+)\"\n.*?^```$", re.M | re.S)
_RUN_BY = re.compile(r"^Run by (.+)$", re.M)


def code_of(title: str, root: Path = ROOT) -> str:
    """The code that a title names. Raises `ValueError` where there is none such."""
    name, _, region = title.partition("#")
    path = root / name
    if not path.is_file():
        raise ValueError(f"{name} is no file")
    text = path.read_text("utf-8")
    mark = r"^[ \t]*(?:#|//|--) {word} " + re.escape(region) + r"[ \t]*\n"
    if region:
        between = re.findall(mark.format(word="region") + "(.*?)" + mark.format(word="endregion"), text, re.M | re.S)
        if len(between) != 1:
            raise ValueError(f"{name} has {len(between)} regions «{region}»; it must have one")
        text = between[0]
    inner = r"^[ \t]*(?:#|//|--) (?:end)?region [\w-]+[ \t]*\n"
    return textwrap.dedent(re.sub(inner, "", text, flags=re.M)).strip("\n") + "\n"


def faults(page: str, root: Path = ROOT) -> Iterator[str]:
    """What is wrong with a page's code, a line each."""
    named = set()
    for block in blocks(page):
        if block.language in FREE:
            continue
        if block.title is None:
            yield f'a block of «{block.language}» has no title="file": {block.code[:60]!r}'
            continue
        named.add(str(Path(block.title.partition("#")[0]).parent))
        try:
            if block.code != code_of(block.title, root):
                yield f"{block.title}: the page has other code than the file; run python -m tests.pages"
        except ValueError as error:
            yield str(error)
    tests = [name for line in _RUN_BY.findall(page) for name in re.findall(r"`(tests/[^`]+)`", line)]
    if named and not tests:
        yield "no line «Run by `tests/…`» says which test runs this page's files"
    for name in tests:
        if not (root / name).is_file():
            yield f"{name} is no file"
        elif named and not any(folder in (root / name).read_text("utf-8") for folder in named):
            yield f"{name} names none of the folders of this page's files: {', '.join(sorted(named))}"


def rewritten(page: str, root: Path = ROOT) -> str:
    """The page with the code of its files in its blocks. Raises `ValueError` where a file is not there."""

    def anew(found: re.Match[str]) -> str:
        return f'```{found["language"]} title="{found["title"]}"\n{code_of(found["title"], root)}```'

    return _TITLED.sub(anew, page)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(rewritten(path.read_text("utf-8")), "utf-8")
