"""The shell's completion of our commands."""

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from yellowbooks.cli.base import main

PLACES = {
    "bash": "~/.local/share/bash-completion/completions/yellowbooks",
    "zsh": "~/.local/share/zsh/site-functions/_yellowbooks",
    "fish": "~/.config/fish/completions/yellowbooks.fish",
}


@main.command()
@click.argument("shell", type=click.Choice(sorted(PLACES)))
@click.option("--install", is_flag=True, help="Write it where the shell finds it, not to standard output.")
def completion(shell: str, install: bool) -> None:
    """Print what makes SHELL complete our commands; bash needs the package bash-completion."""
    made = get_completion_class(shell)
    if made is None:
        raise click.ClickException(f"there is no completion for {shell}")
    source = made(main, {}, "yellowbooks", "_YELLOWBOOKS_COMPLETE").source()
    if not install:
        click.echo(source)
        return
    place = Path(PLACES[shell]).expanduser()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(source, "utf-8")
    except OSError as error:
        raise click.ClickException(
            f"{place} cannot be written ({error.strerror}); print it, and put it there"
        ) from None
    click.echo(f"written: {place}; a new shell knows it")
    if shell == "zsh":
        click.echo(f"zsh finds it where its fpath has {place.parent}")
