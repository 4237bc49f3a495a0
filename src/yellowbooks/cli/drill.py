"""The command that breaks things on purpose, on a system of its own."""

import asyncio
import sys
from dataclasses import asdict

import click

from yellowbooks.cli.base import NOT_DONE, main
from yellowbooks.cli.operate import json_option, say, stop, table


@main.command()
@click.option("--mails", type=click.IntRange(40, 20_000), default=400, show_default=True, help="Sign-ins to accept.")
@click.option("--seconds", type=click.FloatRange(20, 600), default=60.0, show_default=True, help="When to give up.")
@json_option
def drill(mails: int, seconds: float, as_json: bool) -> None:
    """Kill a worker, freeze Valkey, hang up after SMTP's dot, then account for every job. It has a system of its own,
    on loopback and in a temporary folder: yours is not touched. Exit status 0 where nothing is lost."""
    from yellowbooks.drill import Drill
    from yellowbooks.settings import SettingsError

    shown = not as_json
    try:
        report = asyncio.run(Drill(mails, seconds, lambda step: click.echo(f"- {step}") if shown else None).run())
    except (OSError, SettingsError) as error:
        raise stop(f"the drill could not be held: {error}") from None
    if as_json:
        say(asdict(report) | {"well": report.well})
    else:
        rows = [
            ("accepted", report.accepted, "sign-ins that were answered «it will be sent»"),
            ("= sent", report.sent, "the mail server has the mail, and the queue knows"),
            ("+ held", report.held, "waits in the queue for its turn"),
            ("+ dead", report.dead, "the mail server refuses the address; an operator sees it in the DLQ"),
            ("+ uncertain", report.uncertain, "dead, and nobody knows whether the mail was taken"),
            ("lost", report.lost, "accepted, and nowhere"),
            ("copies", report.copies, f"second mails, of {report.doubts} attempts that nobody knows the end of"),
            ("crashes", report.crashes, "attempts that the killed worker left; others took them over"),
        ]
        click.echo()
        table(["", "jobs", ""], rows, empty="")
        click.echo("\nevery job is accounted for" if report.well else "\nNOT every job is accounted for", err=False)
    if not report.well:
        raise SystemExit(NOT_DONE)
    sys.stdout.flush()
