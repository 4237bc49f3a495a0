"""What operators' commands share: the queue for the time of a command, tables for people, JSON for machines."""

import asyncio
import getpass
import shutil
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from yellowbooks.cli.base import NOT_DONE, TRY_AGAIN, clear_errors, load_settings
from yellowbooks.settings import Settings

if TYPE_CHECKING:
    from yellowbooks.joblog import JobLog
    from yellowbooks.jobs import Queue

R = TypeVar("R")
PLAIN_WIDTH = 200  # columns of a table that no terminal shows
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

json_option = click.option("--json", "as_json", is_flag=True, help="JSON, for a machine.")


def on_queue(work: Callable[["Queue", Settings], Awaitable[R]]) -> R:
    """Do something with the queue of the settings, or of an `up` on this data folder; away is exit status 75."""
    from yellowbooks.wiring import beside_up, open_queue

    async def run() -> R:
        with clear_errors():
            settings = beside_up(load_settings().settings)
            queue = open_queue(settings)
        try:
            return await work(queue, settings)
        finally:
            await queue.close()

    try:
        return asyncio.run(run())
    except ConnectionError as error:
        click.echo(f"yellowbooks: {error}", err=True)
        raise SystemExit(TRY_AGAIN) from None


def has_log(settings: Settings) -> bool:
    """Whether there is a job log to ask."""
    return bool(settings.database_url) or (settings.data_dir / "joblog.sqlite3").exists()


async def of_log(settings: Settings, ask: Callable[["JobLog"], R]) -> R:
    """What the job log answers. Raises `ConnectionError` where its database is away."""
    from yellowbooks.wiring import LogReader

    reader = LogReader(settings)
    try:
        return await reader.ask(ask)
    finally:
        await reader.ask(lambda log: log.close())


def on_log(ask: Callable[["JobLog"], R]) -> R:
    """Ask the job log of the settings; away is exit status 75, none at all 1."""
    with clear_errors():
        settings = load_settings().settings
    if not has_log(settings):
        raise stop(f"there is no job log in {settings.data_dir} yet; start `yellowbooks up`, or set YB_DATABASE_URL")
    try:
        return asyncio.run(of_log(settings, ask))
    except ConnectionError as error:
        raise stop(str(error), TRY_AGAIN) from None


def say(answer: Any) -> None:
    """One JSON value on one line."""
    click.echo(msgspec.json.encode(answer).decode())


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, empty: str) -> None:
    """A table, as wide as the terminal; where nothing is in it, one line that says so."""
    from rich.console import Console
    from rich.table import Table

    shown = [[("" if value is None else str(value)) for value in row] for row in rows]
    if not shown:
        click.echo(empty)
        return
    grid = Table(*columns, box=None, pad_edge=False)
    grid.columns[0].no_wrap = True
    for row in shown:
        grid.add_row(*row)
    Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, markup=False, highlight=False).print(grid)


def sentence(text: str) -> None:
    """A line that a narrow terminal may break between words."""
    click.echo(textwrap.fill(text, shutil.get_terminal_size().columns) if sys.stdout.isatty() else text)


def stop(message: str, status: int = NOT_DONE) -> "SystemExit":
    """To be raised: a line to standard error, and an exit status."""
    click.echo(f"yellowbooks: {message}", err=True)
    return SystemExit(status)


def operator() -> str:
    """Who acts, as the history of a job keeps it: the name of this machine's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "an operator"


def confirmed(question: str, yes: bool) -> None:
    """Go on only where somebody says so. Raises `click.ClickException` and `click.Abort`."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} nobody is there to answer; see it with --preview, then give --yes")
    click.confirm(question, abort=True)


async def in_steps(ids: Sequence[str], act: Callable[[list[str]], Awaitable[list[str]]], title: str) -> list[str]:
    """Do something with many jobs, some at a time; a terminal sees how far it is. Gives the answers."""
    from rich.console import Console
    from rich.progress import Progress

    answers: list[str] = []
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal or len(ids) <= STEP, transient=True) as progress:
        task = progress.add_task(title, total=len(ids))
        for start in range(0, len(ids), STEP):
            answers += await act(list(ids[start : start + STEP]))
            progress.update(task, completed=len(answers))
    return answers


STEP = 500


class Moment(click.ParamType[int]):
    """A moment: an RFC 3339 time with an offset, or how long ago, such as 90m; gives milliseconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Raises `click.BadParameter`."""
        if isinstance(value, int):
            return value
        text = str(value)
        if text[:-1].isdecimal() and text[-1:] in UNITS:
            return round((time.time() - int(text[:-1]) * UNITS[text[-1]]) * 1000)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail(
                f"«{text}» is no time; give one such as 2025-12-18T23:00:00Z, or how long ago, such as 90m", param, ctx
            )
        return round(moment.timestamp() * 1000)


def clock(milliseconds: int | None) -> str:
    """A moment for a table: the date and the time in UTC, to the millisecond."""
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
