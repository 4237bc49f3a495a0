"""Every block of every document runs as it stands there; what does not says why, and is counted."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.page import ROOT, RUN, TALK, Block, blocks, commands, differences, json_in, pages, unlike
from tests.docs.shell import Result, Shell

NOT_RUN = 8  # blocks that say why they are not run; a new one is added here on purpose
PAGES = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in pages()}


def runs(block: Block) -> bool:
    return block.not_run is None and block.title is None and block.language in RUN


@pytest.fixture
def shell(short_folder: Path) -> Iterator[Shell]:
    shell = Shell(short_folder)
    yield shell
    shell.close()


@pytest.mark.parametrize("name", [name for name, text in PAGES.items() if any(runs(one) for one in blocks(text))])
def test_a_page_runs(name: str, shell: Shell) -> None:
    play(name, PAGES[name], shell)


def play(name: str, page: str, shell: Shell) -> None:
    """Run a page's blocks in order. Raises `AssertionError` with the page and the line."""
    last = Result("", 0)
    for block in blocks(page):
        if not runs(block):
            continue
        at = f"{name}:{block.line}"
        if block.language == "json":
            wrong = list(unlike(json.loads(block.code), json_in(last.output)))
            assert not wrong, f"{at}: {wrong}\n{last.output}"
        elif block.language == "python":
            last = shell.python(block)
            assert last.status == 0, f"{at}: {last.output}"
        else:
            for command in commands(block):
                last = shell.run(command)
                assert last.status == command.status, f"{at}: {command.words}\n{last.output}"
                wrong = list(differences(command.shown or "", last.output))
                assert not wrong, f"{at}: {wrong}\n{command.words}\n{last.output}"


def test_every_block_has_a_language_that_says_what_becomes_of_it() -> None:
    for name, text in PAGES.items():
        for block in blocks(text):
            known = block.language in (*RUN, *TALK) or block.title or block.not_run
            assert known, f"{name}:{block.line}: «{block.language}» is not run; say why in a line «*Not run here: …*»"


def test_what_is_not_run_is_counted() -> None:
    found = [f"{name}:{one.line}: {one.not_run}" for name, text in PAGES.items() for one in blocks(text) if one.not_run]
    assert len(found) == NOT_RUN, "\n".join(found)


RIGHT = """Talk.

```console
$ printf '%s\\n' "took 12 ms" more; exit 3  # exit 3
took 7 ms
…
$ printf '{"a": [1], "b": "2026-01-01T00:00:00Z", "c": null}'
```

```json
{"a": [2], "b": "2025-12-18T23:00:00Z", "c": null}
```

```python
print("hello")
```
"""


def test_a_page_that_says_what_happens_passes(shell: Shell) -> None:
    play("page", RIGHT, shell)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("# exit 3", "", "page:3"),
        ("took 7 ms", "took 7 s", "«took 7 s» is shown and was not seen"),
        ('"c": null}\n```\n\n```python', '"d": null}\n```\n\n```python', "$.d is shown and was not seen"),
        ('{"a": [2]', '{"a": "2"', "$.a: '2' is shown"),
        ('{"a": [2]', '{"a": []', "$.a: 0 are shown, 1 were seen"),
        ('print("hello")', "import nothing_such", "No module named"),
    ],
)
def test_a_page_that_says_other_things_fails(shell: Shell, old: str, new: str, fault: str) -> None:
    assert old in RIGHT
    with pytest.raises(AssertionError) as caught:
        play("page", RIGHT.replace(old, new), shell)
    assert fault in str(caught.value)
