"""The pages' frames. Their live parts are filled in the browser, from the API, with the operator's own key."""

from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader, StrictUndefined
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, RawBody

from yellowbooks import __version__
from yellowbooks.dashboard.files import file_routes, folder_url
from yellowbooks.dashboard.headers import PAGE_HEADERS
from yellowbooks.dashboard.words import LANGUAGES, Words, language_of

PAGES = {"now": "", "jobs": "/jobs", "dead": "/dead", "limits": "/limits", "audit": "/audit"}
STATES = ("scheduled", "enqueued", "processing", "retrying", "completed", "dead", "cancelled")
LOOKS = ("auto", "light", "dark")
YEAR_SECONDS = 365 * 24 * 3600


def dashboard_routes(*, inbox: bool) -> list[HTTPRouteHandler]:
    """`/dashboard` and what belongs to it. The pages show nothing by themselves; the caller guards them anyway.

    `inbox` says whether mails are kept here, so that the pages may point there.
    """
    frames = Frames(inbox)
    shown = [_page_route(frames, name, path) for name, path in PAGES.items()]
    return [*shown, _job_route(frames), _choose, *file_routes()]


def _page_route(frames: "Frames", name: str, path: str) -> HTTPRouteHandler:
    @get(f"/dashboard{path}", sync_to_thread=False, include_in_schema=False, name=f"dashboard-{name}")
    def show(request: Request[Any, Any, Any]) -> Response[str]:
        return frames.render(request, name)

    return show


def _job_route(frames: "Frames") -> HTTPRouteHandler:
    @get("/dashboard/jobs/{job_id:str}", sync_to_thread=False, include_in_schema=False)
    def show_job(request: Request[Any, Any, Any], job_id: FromPath[str]) -> Response[str]:
        return frames.render(request, "job", job_id=job_id)

    return show_job


@post("/dashboard/choose", status_code=303, include_in_schema=False, sync_to_thread=False)
def _choose(body: RawBody) -> Response[None]:
    """Keeps the language and the look that the reader chose, and goes back to the page."""
    given = {name: values[-1] for name, values in parse_qs(body.decode("latin-1")).items()}
    back = given.get("back", "")
    # A path of ours and nothing else: «//host» and «/\host» are addresses of other sites.
    ours = back == "/dashboard" or back.startswith(("/dashboard/", "/dashboard?"))
    choices = {"language": LANGUAGES, "look": LOOKS}
    cookies = [_cookie(name, given[name]) for name, allowed in choices.items() if given.get(name) in allowed]
    location = back if ours and back.isprintable() else "/dashboard"
    return Response(None, status_code=303, headers={**PAGE_HEADERS, "Location": location}, cookies=cookies)


def _cookie(name: str, value: str) -> Cookie:
    return Cookie(
        key=f"yb_{name}", value=value, path="/dashboard", max_age=YEAR_SECONDS, httponly=True, samesite="strict"
    )


class Frames:
    """Renders the frame of a page in the reader's language and look."""

    def __init__(self, inbox: bool) -> None:
        self._inbox = inbox
        self._templates = Environment(
            loader=PackageLoader("yellowbooks.dashboard", "pages"), autoescape=True, undefined=StrictUndefined,
            trim_blocks=True, lstrip_blocks=True,
        )  # fmt: skip

    def render(self, request: Request[Any, Any, Any], page: str, **values: Any) -> Response[str]:
        """The page, with `values` for its template."""
        language = request.cookies.get("yb_language", "")
        if language not in LANGUAGES:
            language = language_of(request.headers.get("accept-language", ""))
        look, query = request.cookies.get("yb_look", ""), request.url.query
        html = self._templates.get_template(f"{page}.html").render(
            t=Words(language), language=language, look=look if look in LOOKS else "auto", page=page, pages=PAGES,
            states=STATES, looks=LOOKS, files=folder_url(), version=__version__, inbox=self._inbox,
            here=request.url.path + (f"?{query}" if query else ""), **values,
        )  # fmt: skip
        return Response(html, media_type="text/html", headers=PAGE_HEADERS)
