"""What libraries log is written without the words of exceptions: they may hold what a caller sent."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from yellowbooks.observe import observer

MARK = "canary-bat"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    logging.basicConfig(force=True)  # the handler of the test writes to what is closed by then


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_library_that_logs_an_exception_shows_where_and_not_what(
    log_format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tell = observer("worker", log_format)
    try:
        try:
            raise KeyError(f"{MARK}@example.com")
        except KeyError as error:
            raise ValueError(f"no mailbox of {MARK}") from error
    except ValueError:
        logging.getLogger("some.library").exception("cannot serve %s", f"{MARK}@example.com")
    tell("dead", job="a@b.example", error="as it is told")
    said = capsys.readouterr().err
    assert MARK not in said
    assert "test_observe.py" in said
    assert "KeyError" in said
    assert "ValueError" in said
    assert "cannot serve (address)" in said
    assert "a@b.example" in said  # our own words are not touched: an id may look like an address


def test_a_task_that_failed_and_that_nobody_asked(capsys: pytest.CaptureFixture[str]) -> None:
    observer("api", "json")

    async def fail() -> None:
        raise ValueError(f"of {MARK}, (too)")

    async def main() -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(0.01)
        del task

    asyncio.run(main())
    said = capsys.readouterr().err
    assert "never retrieved" in said
    assert MARK not in said
    assert "exception=ValueError(…)" in said
