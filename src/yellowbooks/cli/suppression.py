"""Commands about addresses that get no mail, and the bounces that tell of them."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import click

from yellowbooks.cli.base import TRY_AGAIN, clear_errors, load_settings
from yellowbooks.cli.mail import mail

if TYPE_CHECKING:
    from yellowbooks.mail import Standing, SuppressionList

R = TypeVar("R")


def _with_list(work: Callable[["SuppressionList"], Awaitable[R]]) -> R:
    from yellowbooks.wiring import beside_up, open_queue, suppression_list

    async def run() -> R:
        with clear_errors():
            settings = beside_up(load_settings().settings)
            queue = open_queue(settings)
        try:
            return await work(suppression_list(settings, queue))
        finally:
            await queue.close()

    return _reached(run)


def _reached(run: Callable[[], Awaitable[R]]) -> R:
    async def main() -> R:
        return await run()

    try:
        return asyncio.run(main())
    except ConnectionError as error:
        click.echo(f"yellowbooks: {error}", err=True)
        raise SystemExit(TRY_AGAIN) from None


@mail.command()
@click.argument("report", type=click.File("rb"), default="-")
def bounce(report: BinaryIO) -> None:
    """Take in a delivery report from a file or standard input; a mail server may run this for its bounces."""
    from yellowbooks.mail import NoReport
    from yellowbooks.settings import SettingsError
    from yellowbooks.wiring import beside_up, bounce_intake, open_queue

    data = report.read(1024 * 1024 + 1)

    async def run() -> None:
        with clear_errors():
            settings = beside_up(load_settings().settings)
            queue = open_queue(settings)
            intake = bounce_intake(settings, queue)
            if intake is None:
                raise SettingsError(
                    "YB_MAIL_SECRET: is not set, so a report could be forged; set it where mails are sent"
                )
        try:
            for one in await intake.take(data):
                click.echo(f"{one.word} {one.ref or '-'} {one.why}")
        except NoReport as error:
            click.echo(f"passed_over - {error}")
        finally:
            await queue.close()

    _reached(run)


@mail.group()
def suppression() -> None:
    """Addresses that get no mail: see them, lift them, add one. ADDRESS may be the 24 digits of a line of `list`."""


@suppression.command("list")
def show_all() -> None:
    """Every suppressed address, and those with strikes; newest first."""
    entries = _with_list(lambda suppressions: suppressions.entries())
    for ref, standing in entries:
        click.echo(_line(ref, standing))
    if not entries:
        click.echo("nobody is suppressed")


@suppression.command()
@click.argument("address")
def show(address: str) -> None:
    """How one address stands; exit status 1 where it gets no mail."""

    async def look(suppressions: "SuppressionList") -> tuple[str, "Standing"]:
        ref = _ref(suppressions, address)
        return ref, await suppressions.show(ref)

    ref, standing = _with_list(look)
    click.echo(_line(ref, standing))
    if standing.suppressed(time.time()):
        raise SystemExit(1)


@suppression.command()
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...")
def lift(addresses: tuple[str, ...]) -> None:
    """Send to these addresses again; their dead jobs wait to be requeued."""
    from yellowbooks.mail import lifted

    async def work(suppressions: "SuppressionList") -> None:
        for address in addresses:
            ref = _ref(suppressions, address)
            before, _ = await suppressions.change(ref, lifted)
            click.echo(f"{ref} {'lifted' if before.until or before.strikes else 'was not suppressed'}")

    _with_list(work)


@suppression.command()
@click.argument("address")
@click.option("--days", type=click.IntRange(1, 3650), default=30, show_default=True)
@click.option("--reason", default="an operator wants it", show_default=True)
def add(address: str, days: int, reason: str) -> None:
    """Send nothing to this address for some days."""
    from yellowbooks.mail import by_operator

    async def work(suppressions: "SuppressionList") -> None:
        ref = _ref(suppressions, address)
        _, after = await suppressions.change(ref, by_operator(reason, days * 86_400))
        click.echo(_line(ref, after))

    _with_list(work)


def _ref(suppressions: "SuppressionList", address: str) -> str:
    if re.fullmatch(r"[0-9a-f]{24}", address):
        return address
    if not re.fullmatch(r"[^\s@]+@[^\s@]+", address):
        raise click.BadParameter(f"«{address}» is neither an address nor the 24 digits of a line of `list`")
    return suppressions.ref(address)


def _line(ref: str, standing: "Standing") -> str:
    if standing.suppressed(time.time()):
        state = f"no mail until {_day(standing.until)}"
    elif standing.strikes:
        state = f"strike {len(standing.strikes)} of 3"
    else:
        return f"{ref}  gets mail"
    return f"{ref}  {state}  since {_day(standing.since)}  {standing.cause or 'soft'}: {standing.reason}"


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
