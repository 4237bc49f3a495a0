"""What every command shares: the group, the settings, and how a mistake in them is said."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from yellowbooks import __version__
from yellowbooks.settings import Loaded, SettingsError, load

NOT_DONE = 1
WRONG_SETTING = 2
NO_SUCH_JOB = 3
REFUSED = 4
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: a mail server that runs a command keeps the mail and tries again


EXIT_STATUS = {
    "0": "done, and all is well",
    str(NOT_DONE): "not done, or what was looked at is not well; the lines above say what to do",
    str(WRONG_SETTING): "a wrong setting, option or argument; nothing was touched",
    str(NO_SUCH_JOB): "no job, or no key, has this id",
    str(REFUSED): "the job or the key stands where this cannot be done to it",
    str(TRY_AGAIN): "the queue or the job log is away: try again",
}


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="\b\nExit status:\n" + "\n".join(f"  {status:<4} {why}" for status, why in EXIT_STATUS.items()),
)
@click.version_option(__version__, prog_name="yellowbooks")
def main() -> None:
    """Background jobs that tell people what happened to their account."""
    # `python -m yellowbooks` finds the modules of YB_KINDS in the folder where it starts, so this command does too.
    if not {"", str(Path.cwd())} & set(sys.path):
        sys.path.append(str(Path.cwd()))


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
