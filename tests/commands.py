"""Writes docs/commands.md from the commands themselves: `python -m tests.commands`."""

import re
from collections.abc import Iterator
from pathlib import Path

import click

from yellowbooks.cli import main
from yellowbooks.cli.base import EXIT_STATUS

PAGE = Path(__file__).parent.parent / "docs/commands.md"
INTRODUCTION = """# Commands

Written by `python -m tests.commands` from the commands' own help; a test compares. Each takes `--help`. Where
`YB_VALKEY_URL` is not set, commands look at what an `up` runs on this data folder; the settings are in
[settings.md](settings.md).

`--json` gives one JSON value on standard output (of `jobs follow`: one a line), with the field names of the API; what
goes wrong goes to standard error. Tables fit the terminal; without one they are 200 columns wide. Long work shows a bar
on a terminal. `yellowbooks completion bash --install` (or zsh, fish) makes the shell complete commands and options.
"""


def commands(group: click.Group, *words: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that shows itself, with its words, in the order of its name."""
    for name, command in sorted(group.commands.items()):
        if command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, *words, name)
        else:
            yield " ".join((*words, name)), command


def _section(words: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"yellowbooks {words}", max_content_width=110)
    usage = command.get_usage(context).removeprefix("Usage: ")
    yield f"## {words}\n"
    yield f"    {_line(usage)}\n"
    yield f"{_line(command.help or '')}\n"
    rows = [
        found
        for option in command.get_params(context)
        if (found := option.get_help_record(context)) and not found[0].endswith("--help") and found[1]
    ]
    if rows:
        yield "| option | what it does |\n|---|---|"
        for names, what in rows:
            yield f"| `{_cell(names)}` | {_cell(what)} |"
        yield ""


def _line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def page() -> str:
    """The whole page."""
    lines = [INTRODUCTION, "| exit status | means |\n|---|---|"]
    lines += [f"| {status} | {why} |" for status, why in EXIT_STATUS.items()]
    lines.append("")
    for words, command in commands(main):
        lines += _section(words, command)
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
