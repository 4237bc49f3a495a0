"""The demo site: where it answers, and the parts that it is made of."""

import asyncio
import signal
import socket
from typing import TYPE_CHECKING

from yellowbooks.observe import Tell
from yellowbooks.settings import LOOPBACK, Settings, SettingsError
from yellowbooks.wiring.mail import open_inbox

if TYPE_CHECKING:
    from yellowbooks.demo import FindMail

LOOKED_AT = 20
"""So many of the newest mails to an address are looked at; the demo's own is among the first."""


def demo_port(settings: Settings) -> int:
    """YB_DEMO_PORT, else the port after the API's. Raises `SettingsError` where there is none after it."""
    port = settings.demo_port or settings.port + 1
    if port > 65_535 or port == settings.port:
        raise SettingsError(f"YB_DEMO_PORT: the demo cannot answer on port {port}; for example YB_DEMO_PORT=8080")
    return port


def demo_address(settings: Settings) -> str:
    """Where the demo site answers."""
    return _address(settings, demo_port(settings))


def check_demo(settings: Settings) -> None:
    """Raises `SettingsError` where the demo would be unsafe or cannot sign anybody in."""
    demo_port(settings)
    if bool(settings.demo_github_client_id) != bool(settings.demo_github_client_secret):
        raise SettingsError(
            "YB_DEMO_GITHUB_CLIENT_ID and YB_DEMO_GITHUB_CLIENT_SECRET: one is set without the other; set both, or "
            "neither for a local stand-in"
        )
    if settings.host not in LOOPBACK and not settings.demo_github_client_id:
        raise SettingsError(
            f"YB_HOST: {settings.host} is reached from other machines, and in the demo's stand-in for GitHub anybody "
            "may be anybody; set YB_HOST=127.0.0.1, or YB_DEMO_GITHUB_CLIENT_ID and YB_DEMO_GITHUB_CLIENT_SECRET"
        )


def serve_demo(settings: Settings, listener: socket.socket, tell: Tell) -> None:
    """Serve the demo site on a socket that is already bound."""
    import uvicorn

    from yellowbooks.demo import DemoParts, create_site

    app = create_site(
        DemoParts(
            site=demo_address(settings),
            api=_address(settings, settings.port),
            key="".join((*settings.api_keys, *settings.admin_keys)[:1]),
            find_mail=None if settings.smtp_url else _finder(settings),
            tell=tell,
            spool=settings.data_dir / "demo-spool",
            summaries=settings.notify is not None,
            client_id=settings.demo_github_client_id or "",
            client_secret=settings.demo_github_client_secret or "",
        )
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn raises the signal again when it is done: end with 0
    config = uvicorn.Config(
        app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=1, ws="none"
    )
    uvicorn.Server(config).run(sockets=[listener])


def _finder(settings: Settings) -> "FindMail":
    from yellowbooks.demo import Mail

    inbox = open_inbox(settings)

    def look(email: str, since: float) -> Mail | None:
        for entry in inbox.entries(LOOKED_AT, email):
            if entry.recipient.lower() == email.lower() and entry.received.timestamp() >= since:
                found = inbox.read(entry.id)
                return Mail(entry.id, entry.subject, found.html, entry.received.timestamp())
        return None

    async def find(email: str, since: float) -> Mail | None:
        try:
            return await asyncio.to_thread(look, email, since)
        except KeyError:  # the inbox keeps the newest mails, and this one was pushed out just now
            return None

    return find


def _address(settings: Settings, port: int) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}" if port == 80 else f"http://{host}:{port}"  # as a browser names it
