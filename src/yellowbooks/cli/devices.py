"""The command about remembered devices."""

import asyncio

import click

from yellowbooks.cli.base import TRY_AGAIN, clear_errors, load_settings
from yellowbooks.cli.mail import mail


@mail.command()
@click.argument("user")
def forget(user: str) -> None:
    """Forget the devices and networks of a USER (the userId of sign-ins): the next sign-in is new."""
    from yellowbooks.settings import SettingsError
    from yellowbooks.wiring import beside_up, device_memory, open_queue

    async def run() -> bool:
        settings = beside_up(load_settings().settings)
        queue = open_queue(settings)
        try:
            memory = device_memory(settings, queue)
            if memory is None:
                raise SettingsError("YB_NOTIFY: is not set, so no device is remembered; set what the workers have")
            return await memory.forget(user)
        finally:
            await queue.close()

    with clear_errors():
        try:
            known = asyncio.run(run())
        except ConnectionError as error:
            click.echo(f"yellowbooks: {error}", err=True)
            raise SystemExit(TRY_AGAIN) from None
    click.echo("forgotten" if known else "nothing was known of this user")
