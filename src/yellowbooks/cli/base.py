"""What every command shares: the group, the settings, and how a mistake in them is said."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from yellowbooks import __version__
from yellowbooks.settings import Loaded, SettingsError, load

WRONG_SETTING = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="yellowbooks")
def main() -> None:
    """Background jobs that tell people what happened to their account."""


@contextmanager
def clear_errors() -> Iterator[None]:
    """A wrong setting is one line a mistake and exit status 2."""
    try:
        yield
    except SettingsError as error:
        click.echo(f"yellowbooks: {error}", err=True)
        raise SystemExit(WRONG_SETTING) from None


def load_settings() -> Loaded:
    """The settings; what looks odd in them is said. Raises `SettingsError`."""
    loaded = load()
    for warning in loaded.warnings:
        click.echo(f"yellowbooks: {warning}", err=True)
    return loaded
