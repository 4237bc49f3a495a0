"""Commands about the keys that seal what waits in the queue."""

import asyncio
import secrets

import click

from yellowbooks.cli.base import NOT_DONE, TRY_AGAIN, clear_errors, load_settings, main


@main.group()
def keys() -> None:
    """Keys: a new one, and what is to be done after a change."""


@keys.command()
def new() -> None:
    """Print a key that nobody can guess, for YB_SECRET_KEYS, YB_API_KEYS, YB_ADMIN_KEYS or YB_MAIL_SECRET."""
    click.echo(secrets.token_urlsafe(32))


@keys.command()
def reseal() -> None:
    """Seal what the queue holds with the first key of YB_SECRET_KEYS; then the older keys can go."""
    from yellowbooks.jobs import reseal as seal_anew
    from yellowbooks.settings import SettingsError
    from yellowbooks.wiring import beside_up, every_kind, open_queue

    async def run() -> dict[str, int]:
        with clear_errors():
            settings = beside_up(load_settings().settings)
            if not settings.secret_keys:
                raise SettingsError("YB_SECRET_KEYS: is not set, so there is nothing to seal with; see `keys new`")
            queue, known = open_queue(settings), every_kind(settings)
        try:
            return await seal_anew(queue, known)
        finally:
            await queue.close()

    try:
        counts = asyncio.run(run())
    except ConnectionError as error:
        click.echo(f"yellowbooks: {error}", err=True)
        raise SystemExit(TRY_AGAIN) from None
    click.echo(", ".join(f"{count} {word}" for word, count in counts.items()))
    if counts["changed"] or counts["unreadable"]:
        click.echo("yellowbooks: not all are sealed with the first key yet; run it again with every key set", err=True)
        raise SystemExit(NOT_DONE)
