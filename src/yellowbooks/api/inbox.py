"""The local inbox: the mails that were kept because no SMTP server is set; live as they come."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.resources import files
from typing import Annotated, Any

from jinja2 import Environment, StrictUndefined
from litestar import Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery, QueryParameter
from litestar.response import ServerSentEvent, ServerSentEventMessage

from yellowbooks.api.keys import still_in
from yellowbooks.mail import Inbox, InboxEntry, InboxMail, lint

SHOWN = 200
LOOK_SECONDS = 0.25
ASK_SECONDS = 1.0
BEAT_SECONDS = 15.0  # how soon a reader that went away is noticed
PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
# A mail is shown as a stranger's page: no script, no request, no origin.
MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"

Query = Annotated[str, QueryParameter(max_length=200)]

_FOLDER = files("yellowbooks.api") / "templates"


def inbox_routes(inbox: Inbox | None, stopping: Callable[[], bool]) -> list[Any]:
    """`/inbox`, its live events, and each mail in all its forms; where SMTP is set, one page that says so.

    A reader's stream of events ends when `stopping` says so.
    """
    if inbox is None:
        return [_no_inbox]
    return [*_list_routes(inbox, stopping), *_mail_routes(inbox), *_file_routes()]


def _list_routes(inbox: Inbox, stopping: Callable[[], bool]) -> list[Any]:
    page = _template("inbox.html")

    @get("/inbox", sync_to_thread=True, include_in_schema=False)
    def show_list(q: Query = "") -> Response[str]:
        mails = inbox.entries(SHOWN, q)
        newest = inbox.entries(1)
        after = newest[0].id if newest else ""
        return _page(page.render(mails=[_line(mail) for mail in mails], query=q, kept=inbox.count(), after=after))

    @get("/inbox/events", include_in_schema=False)
    async def live(request: Request[Any, Any, Any], q: Query = "", after: FromQuery[str] = "") -> ServerSentEvent:
        last = request.headers.get("last-event-id") or after
        following = _follow(inbox, q, last, stopping, lambda: still_in(request))
        return ServerSentEvent(following, retry_duration=1000, headers={"Cache-Control": "no-store"})

    return [show_list, live]


async def _follow(
    inbox: Inbox, query: str, after: str, stopping: Callable[[], bool], let_in: Callable[[], Awaitable[bool]]
) -> AsyncIterator[ServerSentEventMessage]:
    """Each mail that comes, the oldest first; its id lets a reader that lost the line go on where it was."""
    seen, beat, asked = -1, 0.0, time.monotonic()
    while not stopping():
        if time.monotonic() - asked > ASK_SECONDS:
            asked = time.monotonic()
            if not await let_in():
                return  # the key was revoked, or the session ended
        now = inbox.changed()
        if now != seen:
            seen = now
            for mail in reversed(await asyncio.to_thread(inbox.entries, SHOWN, query, after)):
                after = mail.id
                yield ServerSentEventMessage(json.dumps(_line(mail), ensure_ascii=False), event="mail", id=mail.id)
        if time.monotonic() - beat > BEAT_SECONDS:
            beat = time.monotonic()
            yield ServerSentEventMessage(None, comment="still here")
        await asyncio.sleep(LOOK_SECONDS)


def _mail_routes(inbox: Inbox) -> list[Any]:
    page = _template("mail.html")

    def find(mail_id: str) -> InboxMail:
        try:
            return inbox.read(mail_id)
        except KeyError:
            raise NotFoundException("no such mail; the inbox keeps the newest 1,000") from None

    @get("/inbox/{mail_id:str}", sync_to_thread=True, include_in_schema=False)
    def show_mail(mail_id: FromPath[str]) -> Response[str]:
        mail = find(mail_id)
        return _page(page.render(mail=mail, line=_line(mail.entry), findings=lint(mail.data)))

    @get("/inbox/{mail_id:str}/html", sync_to_thread=True, include_in_schema=False)
    def show_html(mail_id: FromPath[str]) -> Response[str]:
        return _answer(find(mail_id).html, "text/html", MAIL_POLICY)

    @get("/inbox/{mail_id:str}/text", sync_to_thread=True, include_in_schema=False)
    def show_text(mail_id: FromPath[str]) -> Response[str]:
        return _answer(find(mail_id).text, "text/plain", MAIL_POLICY)

    @get("/inbox/{mail_id:str}/source", sync_to_thread=True, include_in_schema=False)
    def show_source(mail_id: FromPath[str]) -> Response[str]:
        return _answer(find(mail_id).source, "text/plain", MAIL_POLICY)

    return [show_mail, show_html, show_text, show_source]


def _file_routes() -> list[Any]:
    @get("/inbox/style.css", sync_to_thread=False, include_in_schema=False)
    def style() -> Response[str]:
        return _answer((_FOLDER / "inbox.css").read_text("utf-8"), "text/css", PAGE_POLICY)

    @get("/inbox/live.js", sync_to_thread=False, include_in_schema=False)
    def script() -> Response[str]:
        return _answer((_FOLDER / "inbox.js").read_text("utf-8"), "text/javascript", PAGE_POLICY)

    return [style, script]


@get("/inbox", sync_to_thread=False, include_in_schema=False)
def _no_inbox() -> Response[str]:
    raise NotFoundException("YB_SMTP_URL is set, so mails are sent and not kept here")


def _line(mail: InboxEntry) -> dict[str, str]:
    """A mail as the list shows it, on the page and in an event."""
    return {
        "id": mail.id,
        "recipient": mail.recipient,
        "subject": mail.subject,
        "at": mail.received.isoformat(),
        "shown": mail.received.strftime("%Y-%m-%d %H:%M:%S UTC"),
    }


def _template(name: str) -> Any:
    pages = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return pages.from_string((_FOLDER / name).read_text("utf-8"))


def _page(html: str) -> Response[str]:
    return _answer(html, "text/html", PAGE_POLICY)


def _answer(content: str, media_type: str, policy: str) -> Response[str]:
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return Response(content, media_type=media_type, headers=headers)
