"""What watches the numbers for YB_ALERT_WEBHOOK and YB_ALERT_MAIL."""

import asyncio
import html
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from yellowbooks.observe import Tell
from yellowbooks.settings import Settings
from yellowbooks.wiring.mail import mail_secret, make_mailer, make_signer

if TYPE_CHECKING:
    from yellowbooks.alerts import AlertWatch, Send
    from yellowbooks.jobs import Queue

ALERTS_TAG = "{yb:alerts}"
Close = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    """Nobody is to be told, and nothing is open."""


def alert_watch(settings: Settings, queue: "Queue", tell: Tell) -> tuple["AlertWatch | None", Close]:
    """The watch, None where nobody is to be told; and what closes what it sends by. Raises `SettingsError`."""
    if not (settings.alert_webhook or settings.alert_mail):
        return None, _nothing
    from yellowbooks.alerts import AlertWatch, AwayNote, State, webhook

    sends: list[Send] = [webhook(settings.alert_webhook)] if settings.alert_webhook else []
    close: Close = _nothing
    if settings.alert_mail:
        send, close = _by_mail(settings, settings.alert_mail)
        sends.append(send)
    state, note = State(queue.beside(ALERTS_TAG).execute), AwayNote(settings.data_dir / "alert-away.json")
    return AlertWatch(queue, state, note, sends, dict(settings.alert_when), tell), close


def _by_mail(settings: Settings, recipient: str) -> tuple["Send", Close]:
    from yellowbooks.alerts import Notice, NotSent
    from yellowbooks.mail import MessageRefused, Trouble, compose, mailbox

    mailer, sign = make_mailer(settings), make_signer(settings).sign
    sender = mailbox(settings.mail_from)

    async def send(notice: Notice) -> None:
        text = f"{notice.text}\n"
        try:
            message = compose(
                sender=sender, recipient=recipient, subject=notice.subject, text=text,
                html=f"<!doctype html><title>{html.escape(notice.subject)}</title><p>{html.escape(notice.text)}</p>",
                language="en", key=notice.key, date=datetime.now(UTC), secret=mail_secret(settings),
            )  # fmt: skip
            await mailer.send(sign(message), lambda: asyncio.sleep(0))
        except (Trouble, MessageRefused, OSError) as error:
            raise NotSent(f"the mail was not taken: {error}") from None

    return send, mailer.aclose
