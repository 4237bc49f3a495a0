"""What operators see and do over HTTP."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yellowbooks import signin
from yellowbooks.jobs import Kind, Queue
from yellowbooks.mail import SuppressionList, lifted, mailbox, shown_parts
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings
from yellowbooks.views import time as shown_time
from yellowbooks.wiring.finding import search_secret
from yellowbooks.wiring.mail import mail_secret, open_inbox, open_letters, suppression_list

if TYPE_CHECKING:
    from yellowbooks.operators import DelayedActs, Log, Rendered, Suppressed, Trail, Watch

ACTS_TAG = "{yb:acts}"  # where acts wait that can be taken back


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


class ShownSuppressions:
    """The list of suppressed addresses as the operators' routes show it."""

    def __init__(self, suppressions: SuppressionList) -> None:
        self._list = suppressions

    async def entries(self) -> "list[Suppressed]":
        """All of them, newest first; `until` is None for one that only has strikes."""
        from yellowbooks.operators import Suppressed

        now = time.time()
        return [
            Suppressed(
                key=ref, why=one.reason, since=_time(one.since), cause=one.cause or "soft", strikes=len(one.strikes),
                until=_time(one.until) if one.suppressed(now) else None,
            )
            for ref, one in await self._list.entries()
        ]  # fmt: skip

    async def lift(self, key: str) -> None:
        """This one gets mail again."""
        await self._list.change(key, lifted)


@dataclass(frozen=True, slots=True)
class OperatorsParts:
    """What the API is given for its operators."""

    routes: list[Any]
    trail: "Trail"
    acts: "DelayedActs"
    watch: "Watch"

    async def close(self) -> None:
        """End what runs behind the routes."""
        await self.acts.close()
        await self.watch.close()


def operators_parts(
    settings: Settings, queue: Queue, log: "Log", kinds: Sequence[Kind[Any]], stopping: Callable[[], bool], tell: Tell
) -> OperatorsParts:
    """The operators' routes and what stands behind them."""
    from yellowbooks import operators as room

    watch = room.Watch(queue)
    desk = room.Desk(queue=queue, log=log, kinds={kind.name: kind for kind in kinds}, mails=ShownMails(settings))
    trail = room.Trail(desk, lambda: search_secret(settings))
    acts = room.DelayedActs(queue, queue.beside(ACTS_TAG).execute, trail, tell)
    routes = [
        *room.live_routes(room.Now(queue, watch, log), watch, acts.recent, stopping),
        *room.finding_routes(desk),
        room.page_route(desk),
        room.series_route(desk),
        *room.touching_routes(desk, trail),
        *room.limit_routes(desk, trail, ShownSuppressions(suppression_list(settings, queue))),
        *room.act_routes(acts),
        room.audit_route(desk),
    ]
    return OperatorsParts(routes, trail, acts, watch)


def _time(seconds: float) -> str | None:
    return shown_time(round(seconds * 1000)) if seconds else None
