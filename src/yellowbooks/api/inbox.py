"""The local inbox: the mails that were kept because no SMTP server is set."""

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from yellowbooks.mail import Inbox, InboxMail

SHOWN = 200
PAGE_POLICY = "default-src 'none'; style-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'"
# A mail is shown as a stranger's page: no script, no request, no origin.
MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"

_FOLDER = files("yellowbooks.api") / "templates"


def inbox_routes(inbox: Inbox | None) -> list[Any]:
    """`/inbox`, and each mail's page, HTML, text and source; where SMTP is set, one page that says so."""
    if inbox is None:
        return [_no_inbox]
    pages = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    listing = pages.from_string((_FOLDER / "inbox.html").read_text("utf-8"))
    single = pages.from_string((_FOLDER / "mail.html").read_text("utf-8"))

    def find(mail_id: str) -> InboxMail:
        try:
            return inbox.read(mail_id)
        except KeyError:
            raise NotFoundException("no such mail; the inbox keeps the newest 1,000") from None

    @get("/inbox", sync_to_thread=True, include_in_schema=False)
    def show_list() -> Response[str]:
        return _page(listing.render(mails=inbox.entries(SHOWN)))

    @get("/inbox/{mail_id:str}", sync_to_thread=True, include_in_schema=False)
    def show_mail(mail_id: FromPath[str]) -> Response[str]:
        return _page(single.render(mail=find(mail_id)))

    @get("/inbox/{mail_id:str}/html", sync_to_thread=True, include_in_schema=False)
    def show_html(mail_id: FromPath[str]) -> Response[str]:
        return _answer(find(mail_id).html, "text/html", MAIL_POLICY)

    @get("/inbox/{mail_id:str}/text", sync_to_thread=True, include_in_schema=False)
    def show_text(mail_id: FromPath[str]) -> Response[str]:
        return _answer(find(mail_id).text, "text/plain", MAIL_POLICY)

    @get("/inbox/{mail_id:str}/source", sync_to_thread=True, include_in_schema=False)
    def show_source(mail_id: FromPath[str]) -> Response[str]:
        return _answer(find(mail_id).source, "text/plain", MAIL_POLICY)

    @get("/inbox/style.css", sync_to_thread=False, include_in_schema=False)
    def style() -> Response[str]:
        return _answer((_FOLDER / "inbox.css").read_text("utf-8"), "text/css", PAGE_POLICY)

    return [show_list, show_mail, show_html, show_text, show_source, style]


@get("/inbox", sync_to_thread=False, include_in_schema=False)
def _no_inbox() -> Response[str]:
    raise NotFoundException("YB_SMTP_URL is set, so mails are sent and not kept here")


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
