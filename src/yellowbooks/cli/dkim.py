"""The key that signs the mails."""

from pathlib import Path
from typing import Literal

import click

from yellowbooks.cli.base import clear_errors, load_settings
from yellowbooks.cli.mail import mail


@mail.command("dkim-key")
@click.argument("selector")
@click.option("--type", "name", type=click.Choice(["rsa", "ed25519"]), default="rsa", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="The key's file (default: SELECTOR.pem in YB_DATA_DIR).")
def dkim_key(selector: str, name: Literal["rsa", "ed25519"], out: Path | None) -> None:
    """Make a DKIM key, and print what to publish in the DNS; SELECTOR names it, for example mail2026."""
    from yellowbooks.mail import mailbox, make_key
    from yellowbooks.settings import SettingsError
    from yellowbooks.wiring import check, make_data_dir

    with clear_errors():
        settings = load_settings().settings
        check(settings)
        if out is None:
            make_data_dir(settings.data_dir)
        path = (out or settings.data_dir / f"{selector}.pem").absolute()
        try:
            key = make_key(selector, path, name)
        except ValueError as error:
            raise SettingsError(str(error)) from None
    domain = mailbox(settings.mail_from).address.rpartition("@")[2]
    record = key.record()
    quoted = " ".join(f'"{record[at : at + 255]}"' for at in range(0, len(record), 255))
    click.echo(f"The key is in {path}, for its owner alone. Publish this:\n")
    click.echo(f"  {selector}._domainkey.{domain}. IN TXT ( {quoted} )\n")
    click.echo(f"then set YB_DKIM={selector}:{path} and see what `yellowbooks doctor` says.")
