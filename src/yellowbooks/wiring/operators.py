"""What operators see and do over HTTP."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from yellowbooks import signin
from yellowbooks.jobs import Kind, Queue
from yellowbooks.mail import mailbox, shown_parts
from yellowbooks.settings import Settings
from yellowbooks.wiring.log import LogReader
from yellowbooks.wiring.mail import mail_secret, open_inbox, open_letters

if TYPE_CHECKING:
    from yellowbooks.operators import Rendered


class ShownMails:
    """Writes a job's mail again, or finds it in the inbox; the letters are made ready at the first one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._letters: signin.Letters | None = None

    def write(self, job_id: str, created: int, payload: Any) -> "Rendered | None":
        """The mail of a sign-in; None for another payload."""
        from yellowbooks.operators import Rendered

        if not isinstance(payload, signin.SignIn):
            return None
        self._letters = self._letters or open_letters(self._settings, plain=True)
        sender, secret = mailbox(self._settings.mail_from), mail_secret(self._settings)
        mail = signin.write_mail(self._letters, sender, secret, job_id, created, payload)
        return Rendered(mail.message_id, mail.subject, *shown_parts(mail.data))

    def kept(self, message_id: str) -> "Rendered | None":
        """The mail in the inbox, where no SMTP server is set."""
        from yellowbooks.operators import Rendered

        kept = None if self._settings.smtp_url else open_inbox(self._settings).find(message_id)
        return Rendered(message_id, kept.entry.subject, kept.text, kept.html) if kept else None


def operators_desk(
    settings: Settings, queue: Queue, log: LogReader, kinds: Sequence[Kind[Any]], stopping: Callable[[], bool]
) -> tuple[list[Any], Callable[[], Awaitable[None]]]:
    """The operators' routes, and what closes the parts behind them."""
    from yellowbooks.operators import Desk, Now, Watch, finding_routes, live_routes, page_route, series_route

    watch = Watch(queue)
    desk = Desk(queue=queue, log=log, kinds={kind.name: kind for kind in kinds}, mails=ShownMails(settings))
    routes = [
        *live_routes(Now(queue, watch, log), watch, stopping),
        *finding_routes(desk),
        page_route(desk),
        series_route(desk),
    ]
    return routes, watch.close
