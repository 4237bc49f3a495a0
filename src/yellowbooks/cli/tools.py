"""Commands that look: the acceptance cases and the settings."""

import sys

import click

from yellowbooks.cli.base import clear_errors, load_settings, main
from yellowbooks.settings import shown


@main.command()
@click.option("--url", help="The API to check (default: YB_HOST and YB_PORT).")
@click.option("--email", default="check@example.com", show_default=True, help="Who gets the mails of the check.")
def check(url: str | None, email: str) -> None:
    """Run the acceptance cases against a running system: a line each, exit status 0 where all pass."""
    from yellowbooks.acceptance import Case, Check

    def show(case: Case) -> None:
        click.echo(f"{'ok  ' if case.passed else 'FAIL'}  {case.name}: {case.detail}")

    with clear_errors():
        settings = load_settings().settings
    keys = ("".join(settings.api_keys[:1]), "".join(settings.admin_keys[:1]))
    address = url or f"http://{settings.host}:{settings.port}"
    if not Check(address, email, *keys, limit=settings.rate_limit[0]).run(show):
        raise SystemExit(1)


@main.command()
def settings() -> None:
    """Print every setting, its value, where it came from and what it means; secrets stay hidden."""
    from rich.console import Console
    from rich.table import Table

    with clear_errors():
        rows = shown(load_settings())
    table = Table("setting", "value", "from", "meaning", box=None)
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200, markup=False, highlight=False).print(table)
