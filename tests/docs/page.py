"""Reads a page of the documents: its blocks, what they show, and what is said not to run.

A block is run, unless a line of its own stands before it that says why not, for every reader to see:

    *Not run here: it needs a cluster.*

| language | what the test does with it |
|---|---|
| `console` | `$ ` begins a command; below it is its output, compared by shape; `# exit 1` at its end: its status |
| `sh` | a script; each command of it must succeed |
| `json` | the answer of the command before: the same fields, each with a value of the same sort |
| `python` | a file of its own, run |
| any with `title="file"` | `tests/pages.py` holds it to that file, which a test runs |
| `text` | talk: nothing to run; so is a drawing |

By shape: a number stands for any number, and so do ids, times, addresses of this machine and paths; `…` for anything at
all, on a line of its own for any lines.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
TALK = ("text",)
RUN = ("console", "sh", "json", "python")
_BLOCK = re.compile(r"^(?P<fence>`{3,})(?P<info>[^\n]*)\n(?P<code>.*?)^(?P=fence)[ \t]*$", re.M | re.S)
_NOT_RUN = re.compile(r"\*Not run here: (?P<why>[^*]+)\*\s*\Z")


def pages() -> list[Path]:
    """Every page that a person reads, the README first."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its title, its text, its line, and why it is not run (None: it is)."""

    language: str
    title: str | None
    code: str
    line: int
    not_run: str | None


@dataclass(frozen=True)
class Command:
    """A line of a shell and what is shown of its output (None: nothing is)."""

    words: str
    shown: str | None
    status: int


def blocks(text: str) -> Iterator[Block]:
    """The blocks of a page's text."""
    for found in _BLOCK.finditer(text):
        language, _, rest = found["info"].strip().partition(" ")
        title = re.fullmatch(r'title="([^"]+)"', rest.strip())
        reason = _NOT_RUN.search(text[: found.start()])
        line = text.count("\n", 0, found.start()) + 1
        why = reason["why"].strip() if reason else None
        yield Block(language, title[1] if title else None, found["code"], line, why)


def commands(block: Block) -> Iterator[Command]:
    """The commands of a `console` or `sh` block. Raises `ValueError` for a console that begins with output."""
    if block.language == "sh":
        yield Command(block.code, None, 0)
        return
    parts = re.split(r"^\$ ", block.code, flags=re.M)
    if parts[0].strip():
        raise ValueError(f"line {block.line}: a console block begins with its output; begin commands with «$ »")
    for part in parts[1:]:
        lines = part.splitlines()
        count = 1
        while lines[count - 1].endswith("\\"):
            count += 1
        words, shown = "\n".join(lines[:count]), "\n".join(lines[count:]).strip("\n")
        status = re.search(r"\s+# exit (\d+)$", words)
        yield Command(words[: status.start()] if status else words, shown or None, int(status[1]) if status else 0)


_MASKS = (
    (r"https?://(127\.0\.0\.1|localhost):\d+", "ADDRESS"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
    (r"(/[\w.@-]+){2,}", "PATH"),
    (r"\b(?=[0-9a-f-]*\d)[0-9a-f]{8}(-?[0-9a-f]{4,})*\b", "ID"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( UTC)?", "TIME"),
    (r"\d+(\.\d+)?", "N"),
    (r"[ \t]+", " "),
    (r"[─━]+", "─"),
)


def mask(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, word in _MASKS:
        line = re.sub(pattern, word, line)
    return line.strip()


def differences(shown: str, seen: str) -> Iterator[str]:
    """Lines that are shown and were not seen, in their order."""
    rest = [mask(line) for line in seen.splitlines()]
    for line in shown.splitlines():
        wanted = mask(line)
        if wanted in ("", "…"):
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in wanted.split("…")))
        found = next((number for number, one in enumerate(rest) if pattern.fullmatch(one)), None)
        if found is None:
            yield f"«{line}» is shown and was not seen"
        else:
            rest = rest[found + 1 :]


def unlike(shown: Any, seen: Any, path: str = "$") -> Iterator[str]:
    """Where an answer differs from one that is shown: a field too many or too few, or a value of another sort."""
    if shown == "…":
        return
    if isinstance(shown, dict) and isinstance(seen, dict):
        if "…" not in shown:
            yield from (f"{path}.{name} was seen and is not shown" for name in seen.keys() - shown.keys())
        for name in shown.keys() - {"…"}:
            if name not in seen:
                yield f"{path}.{name} is shown and was not seen"
            else:
                yield from unlike(shown[name], seen[name], f"{path}.{name}")
    elif isinstance(shown, list) and isinstance(seen, list):
        if bool(shown) != bool(seen):
            yield f"{path}: {len(shown)} are shown, {len(seen)} were seen"
        for number, one in enumerate(seen if shown else ()):
            yield from unlike(shown[min(number, len(shown) - 1)], one, f"{path}[{number}]")
    elif sort_of(shown) != sort_of(seen):
        yield f"{path}: {shown!r} is shown, {seen!r} was seen"


def sort_of(value: Any) -> str:
    """What a value is, for the comparison; a word is itself, other texts are what `mask` makes of them."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int | float):
        return "number"
    return mask(str(value))


def json_in(output: str) -> Any:
    """The JSON at the end of an output, such as that of `curl -i`. Raises `ValueError` where there is none."""
    for found in re.finditer(r"^[\[{]", output, re.M):
        try:
            return json.loads(output[found.start() :])
        except ValueError:
            continue
    raise ValueError(f"no JSON in: {output[-400:]}")
