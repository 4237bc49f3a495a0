"""The code on a page is the code that ran; and the helper that says so hears each way in which it is not."""

from pathlib import Path

import pytest

from tests.pages import PAGES, faults, rewritten


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_code_on_a_page_is_the_code_that_ran(path: Path) -> None:
    assert list(faults(path.read_text("utf-8"))) == []


CODE = "import app\n\n\ndef main():\n    # region hook\n    if app.on:\n        app.send()\n    # endregion hook\n"
PAGE = """Intro.

```python title="examples/web/app.py#hook"
if app.on:
    app.send()
```

```console
make run
```

Run by `tests/test_web.py`.
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in (("examples/web/app.py", CODE), ("tests/test_web.py", "APP = 'examples/web'\n")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    return tmp_path


def test_a_page_that_says_what_its_files_say_is_right(root: Path) -> None:
    assert list(faults(PAGE, root)) == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("app.send()", "app.send_it()", "other code than the file"),
        ("app.py#hook", "app.py#hoof", "0 regions «hoof»"),
        ("app.py#hook", "gone.py#hook", "gone.py is no file"),
        (' title="examples/web/app.py#hook"', "", "has no title"),
        ("console", "sh", "has no title"),
        ("Run by `tests/test_web.py`.", "", "no line «Run by"),
        ("tests/test_web.py", "tests/test_gone.py", "tests/test_gone.py is no file"),
    ],
)
def test_a_page_that_says_other_things_is_wrong(root: Path, old: str, new: str, fault: str) -> None:
    found = list(faults(PAGE.replace(old, new), root))
    assert len(found) == 1
    assert fault in found[0]


def test_a_test_must_name_what_it_runs(root: Path) -> None:
    (root / "tests/test_web.py").write_text("nothing\n", "utf-8")
    assert "names none of the folders" in next(faults(PAGE, root))


def test_blocks_are_written_anew(root: Path) -> None:
    assert rewritten(PAGE.replace("app.send()", "old()\nolder()"), root) == PAGE
    whole = '```python title="examples/web/app.py"\n```\n'
    assert "region" not in rewritten(whole, root)
    assert "    if app.on:\n" in rewritten(whole, root)
