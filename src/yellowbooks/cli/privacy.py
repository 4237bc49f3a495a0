"""Commands for a person's own: what the system holds about him, and that it holds nothing any more."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from yellowbooks.cli.base import NOT_DONE, clear_errors, load_settings, main
from yellowbooks.cli.operate import confirmed, json_option, operator, say, stop, table
from yellowbooks.views import time as shown_time

if TYPE_CHECKING:
    from yellowbooks.privacy import Erasure, Person
    from yellowbooks.wiring import Holdings

R = TypeVar("R")

user_argument = click.argument("user", required=False)
address_option = click.option("--address", metavar="ADDRESS", help="What is about this address, too, or alone.")
wait_option = click.option(
    "--wait", type=click.IntRange(0, 3600), default=60, show_default=True, metavar="SECONDS",
    help="How long to wait for what passes: running jobs, the recorder, files.",
)  # fmt: skip


@main.command()
@user_argument
@address_option
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Not to standard output.")
def export(user: str | None, address: str | None, out: Path | None) -> None:
    """Everything that the system holds about a USER (the userId of sign-ins), as JSON.

    What could not be read stands in `gaps`, with what to do; then the exit status is 1.
    """
    from yellowbooks.privacy import as_json, gather

    async def work(held: "Holdings", person: "Person") -> dict[str, Any]:
        return as_json(await gather(held.parts, person), person, shown_time(round(time.time() * 1000)) or "")

    found = _with_parts(user, address, 0, work)
    data = msgspec.json.format(msgspec.json.encode(found)) + b"\n"
    if out is None:
        click.echo(data, nl=False)
    else:
        fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
    if not found["complete"]:
        raise stop("something could not be read; see `gaps` of each part, mend it, and run it again", NOT_DONE)


@main.command()
@user_argument
@address_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--files/--no-files", "files", default=True, help="Have Valkey write its files anew, which hold old bytes."
)
@wait_option
@json_option
def erase(user: str | None, address: str | None, yes: bool, files: bool, wait: int, as_json: bool) -> None:
    """Erase a USER (the userId of sign-ins): cancel, shred, and look again; exit status 0 where nothing is left.

    A job past its point of no return is waited for: its mail may be leaving. Run it again as often as you like.
    """
    confirmed("Erase all that is held about this person? It cannot be undone;", yes)

    async def work(held: "Holdings", person: "Person") -> "Erasure":
        return await _erase(held, person, wait, files)

    erasure = _with_parts(user, address, wait, work)
    if as_json:
        say({
            "done": erasure.done,
            "parts": [
                {"part": one.part.name, "where": one.part.where, "erased": one.taken, "left": one.left,
                 "kept": len(one.found.items) if one.part.kept else 0, "gaps": one.found.gaps}
                for one in erasure.seen
            ],
            "files": erasure.files,
        })  # fmt: skip
    else:
        _print(erasure)
    if not erasure.done:
        raise SystemExit(NOT_DONE)


async def _erase(held: "Holdings", person: "Person", wait: int, files: bool) -> "Erasure":
    from yellowbooks.privacy import NotYet
    from yellowbooks.privacy import erase as take

    who = operator()
    erasure = await take(held.parts, person, lambda: held.trail.write(person, who, "erase"))
    if not erasure.touched:
        return erasure
    try:
        if files:
            from yellowbooks.privacy import rewrite_files

            erasure.files = await rewrite_files(held.ways, wait)
        counts = {one.part.name: one.taken for one in erasure.seen if one.taken}
        await held.trail.write(person, who, "erased", {"erased": counts, "done": erasure.done})
    except (NotYet, OSError) as error:
        erasure.seen[0].found.gaps.append(str(error))
    return erasure


def _print(erasure: "Erasure") -> None:
    if not erasure.touched:
        click.echo("nothing was touched: a part cannot be looked at", err=True)
    else:
        rows = [
            (one.part.name, one.taken, one.left, len(one.found.items) if one.part.kept else 0, one.part.where)
            for one in erasure.seen
        ]
        table(("part", "erased", "left", "kept", "where"), rows, empty="")
        for one in erasure.seen:
            if one.part.kept and one.found.items:
                click.echo(f"kept: {one.part.name}: {one.part.kept}")
    for one in erasure.seen:
        for gap in one.found.gaps:
            click.echo(f"yellowbooks: {one.part.name}: {gap}", err=True)
    for line in erasure.files:
        click.echo(f"files of the queue written anew: {line}")
    if erasure.touched and not erasure.files:
        click.echo("the queue's files were left as they are: old bytes stand there until BGREWRITEAOF, or BGSAVE")
    if erasure.done:
        click.echo("nothing is left here; what may be elsewhere: docs/personal-data.md")


def _with_parts(
    user: str | None, address: str | None, wait: int, work: "Callable[[Holdings, Person], Awaitable[R]]"
) -> R:
    from yellowbooks.wiring import beside_up, find_person, holdings

    if not user and not address:
        raise click.UsageError("whose? Name a USER, or an --address, or both")

    async def run() -> R:
        settings = beside_up(load_settings().settings)
        async with holdings(settings, wait) as held:
            return await work(held, find_person(user, address))

    with clear_errors():
        try:
            return asyncio.run(run())
        except ConnectionError as error:
            raise stop(str(error)) from None
