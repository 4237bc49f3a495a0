"""Renders the frame of a page in the reader's language and look."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response

from yellowbooks import __version__
from yellowbooks.dashboard.files import folder_url
from yellowbooks.dashboard.headers import PAGE_HEADERS
from yellowbooks.dashboard.words import LANGUAGES, Words, language_of

PAGES = {"now": "", "jobs": "/jobs", "dead": "/dead", "limits": "/limits", "audit": "/audit"}
STATES = ("scheduled", "enqueued", "processing", "retrying", "completed", "dead", "cancelled")
LOOKS = ("auto", "light", "dark")


class Frames:
    """Renders the frame of a page in the reader's language and look."""

    def __init__(self, inbox: bool) -> None:
        self._inbox = inbox
        self._templates = Environment(
            loader=PackageLoader("yellowbooks.dashboard", "pages"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip

    def render(self, request: Request[Any, Any, Any], page: str, csrf: str = "", **values: Any) -> Response[str]:
        """The page, with `values` for its template; `csrf` is what its forms and acts must bring."""
        language = request.cookies.get("yb_language", "")
        if language not in LANGUAGES:
            language = language_of(request.headers.get("accept-language", ""))
        look, query = request.cookies.get("yb_look", ""), request.url.query
        html = self._templates.get_template(f"{page}.html").render(
            t=Words(language), language=language, look=look if look in LOOKS else "auto", page=page, pages=PAGES,
            states=STATES, looks=LOOKS, files=folder_url(), version=__version__, inbox=self._inbox, csrf=csrf,
            here=request.url.path + (f"?{query}" if query else ""), **values,
        )  # fmt: skip
        return Response(html, media_type="text/html", headers=dict(PAGE_HEADERS))
