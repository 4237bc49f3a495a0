"""Commands about the mail."""

from yellowbooks.cli.base import main


@main.group()
def mail() -> None:
    """The mail: its keys, its bounces, and who gets none."""
