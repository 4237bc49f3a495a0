"""Commands about mails: see them, check them, send one."""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click

from yellowbooks.cli.base import clear_errors, load_settings, main


@main.group()
def mail() -> None:
    """See, check and try the mails."""


@mail.command()
@click.option("--out", type=click.Path(path_type=Path), help="A file, or a folder for mail-preview.html.")
@click.option("--open/--no-open", "open_it", default=None, help="Show it in a browser (default: on a terminal).")
def preview(out: Path | None, open_it: bool | None) -> None:
    """Write a page with every letter: light, dark, narrow, without styles, and as text."""
    from yellowbooks.mail import mailbox
    from yellowbooks.signin import preview_page
    from yellowbooks.wiring import check, make_data_dir, open_letters

    with clear_errors():
        settings = load_settings().settings
        check(settings)
        if out is None:
            make_data_dir(settings.data_dir)
        html = preview_page(open_letters(settings), mailbox(settings.mail_from))
    place = out or settings.data_dir
    place = place if place.suffix and not place.is_dir() else place / "mail-preview.html"
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(html, "utf-8")
    except OSError as error:
        raise click.ClickException(f"{place} cannot be written ({error.strerror}); name another with --out") from None
    click.echo(f"written: {place}")
    if open_it or (open_it is None and sys.stdout.isatty()):
        click.launch(str(place))


@mail.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--site", default="", help="The domain that links may lead to (default: that of YB_MAIL_FROM).")
def lint(folder: Path | None, site: str) -> None:
    """Check every letter that the templates make (those of FOLDER, or of YB_TEMPLATES_DIR, before ours)."""
    from yellowbooks.mail import mailbox
    from yellowbooks.signin import TemplateFault, lint_templates
    from yellowbooks.wiring import check

    with clear_errors():
        settings = load_settings().settings
        check(replace(settings, templates_dir=None))
    try:
        findings = lint_templates(folder or settings.templates_dir, mailbox(settings.mail_from), site)
    except TemplateFault as fault:
        click.echo(str(fault), err=True)
        raise SystemExit(1) from None
    for finding in findings:
        click.echo(str(finding))
    click.echo(f"{len(findings) or 'no'} finding{'' if len(findings) == 1 else 's'}")
    if findings:
        raise SystemExit(1)


@mail.command("send-test")
@click.argument("address")
@click.option("--locale", default="mn", show_default=True, help="The letter's language.")
def send_test(address: str, locale: str) -> None:
    """Send one letter to ADDRESS as the worker would: by YB_SMTP_URL, or into the inbox."""
    from yellowbooks.jobs import Invalid
    from yellowbooks.mail import Message, MessageRefused, Trouble, mailbox
    from yellowbooks.signin import write_trial
    from yellowbooks.wiring import check, make_mailer, make_signer, open_letters

    async def send(message: Message) -> str:
        mailer = make_mailer(settings)
        try:
            return await mailer.send(message, lambda: asyncio.sleep(0))
        finally:
            await mailer.aclose()

    with clear_errors():
        settings = load_settings().settings
        check(settings)
        now = datetime.now(UTC)
        try:
            message = write_trial(open_letters(settings), mailbox(settings.mail_from), address, locale, now)
            click.echo(asyncio.run(send(make_signer(settings).sign(message))))
        except Invalid as error:
            raise click.ClickException(str(error)) from None
        except (Trouble, MessageRefused, OSError) as error:
            raise click.ClickException(f"not sent: {error}") from None
