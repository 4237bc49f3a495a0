"""Signing in and out: a form, without a script."""

from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import parse_qs, quote

from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, RawBody

from yellowbooks.dashboard.files import file_routes
from yellowbooks.dashboard.frames import LOOKS, Frames
from yellowbooks.dashboard.headers import PAGE_HEADERS
from yellowbooks.dashboard.words import LANGUAGES

YEAR_SECONDS = 365 * 24 * 3600
PATH = "/dashboard/login"
STATUS = {"throttled": 429, "away": 503}  # of an attempt to sign in that failed; else 422
Asked = Request[Any, Any, Any]


class Entered(Protocol):
    """How an attempt to sign in ended: with a `cookie`, or with `why` not, and for how long (s) not to try again."""

    @property
    def cookie(self) -> Cookie | None:
        """Of the session."""

    @property
    def why(self) -> str:
        """In one word, for which there is a sentence `login.<word>`."""

    @property
    def wait(self) -> int:
        """Seconds; 0: try again at once."""


class Door(Protocol):
    """Where operators sign in."""

    @property
    def needed(self) -> bool:
        """Whether anybody has to."""

    async def enter(self, request: Asked, key: str, name: str) -> Entered:
        """Begin a session."""
        ...

    async def leave(self, request: Asked) -> Cookie:
        """End it."""
        ...

    async def inside(self, request: Asked) -> bool:
        """Whether the browser is signed in."""
        ...

    def csrf(self, request: Asked) -> str:
        """What the forms of a page must bring."""

    def fits(self, request: Asked, given: str) -> bool:
        """Whether a form brought it."""


def door_routes(door: Door, own_page: Callable[..., Any]) -> list[HTTPRouteHandler]:
    """`/dashboard/login`, `/dashboard/choose` and the files of the pages: what is there before anybody signed in.

    `own_page` is a guard that refuses what the page of another site asks for.
    """
    return [*_login_routes(door, Frames(inbox=False), own_page), _choose_route(door, own_page), *file_routes()]


def logout_route(door: Door) -> HTTPRouteHandler:
    """`POST /dashboard/logout`, for operators."""

    @post("/dashboard/logout", status_code=303, include_in_schema=False, form=True)
    async def leave(request: Asked, body: RawBody) -> Response[None]:
        if await door.inside(request):
            look_at_form(door, request, _form(body))
        cookie = await door.leave(request)
        return Response(None, status_code=303, headers={**PAGE_HEADERS, "Location": PATH}, cookies=[cookie])

    return leave


def look_at_form(door: Door, request: Asked, form: dict[str, str]) -> None:
    """Raises 403 for a form that is not of a page that we gave to this session."""
    if not door.fits(request, form.get("csrf", "")):
        raise PermissionDeniedException("this form is of another session; load the page again")


def _login_routes(door: Door, frames: Frames, own_page: Callable[..., Any]) -> list[HTTPRouteHandler]:
    @get(PATH, include_in_schema=False)
    async def ask(request: Asked, back: FromQuery[str] = "", kept: FromQuery[str] = "") -> Response[Any]:
        back = own_path(back)
        if not door.needed or await door.inside(request):
            return Response(None, status_code=303, headers={**PAGE_HEADERS, "Location": back})
        return frames.render(request, "login", back=back, why="cookie" if kept else "", wait=0, name="")

    @post(PATH, include_in_schema=False, status_code=303, guards=[own_page])
    async def enter(request: Asked, body: RawBody) -> Response[Any]:
        form = _form(body)
        back, name = own_path(form.get("back", "")), form.get("name", "")
        entered = await door.enter(request, form.get("key", ""), name)
        if entered.cookie is None:
            page = frames.render(request, "login", back=back, why=entered.why, wait=entered.wait, name=name[:40])
            page.status_code = STATUS.get(entered.why, 422)
            if entered.wait:
                page.headers["Retry-After"] = str(entered.wait)
            return page
        # By way of the sign-in page, which says so where the browser did not keep the cookie.
        headers = {**PAGE_HEADERS, "Location": f"{PATH}?kept=1&back={quote(back)}"}
        return Response(None, status_code=303, headers=headers, cookies=[entered.cookie])

    return [ask, enter]


def _choose_route(door: Door, own_page: Callable[..., Any]) -> HTTPRouteHandler:
    @post("/dashboard/choose", status_code=303, include_in_schema=False, guards=[own_page])
    async def choose(request: Asked, body: RawBody) -> Response[None]:
        """Keeps the language and the look that the reader chose, and goes back to the page."""
        given = _form(body)
        if await door.inside(request):
            look_at_form(door, request, given)
        choices = {"language": LANGUAGES, "look": LOOKS}
        cookies = [_cookie(name, given[name]) for name, allowed in choices.items() if given.get(name) in allowed]
        headers = {**PAGE_HEADERS, "Location": own_path(given.get("back", ""))}
        return Response(None, status_code=303, headers=headers, cookies=cookies)

    return choose


def own_path(back: str) -> str:
    """Where a form leads back to: a page of ours, else the first one."""
    # A path of ours and nothing else: «//host» and «/\\host» are addresses of other sites.
    pages = ("/dashboard", "/inbox")
    ours = back in pages or back.startswith(tuple(f"{page}{sign}" for page in pages for sign in "/?"))
    return back if ours and back.isprintable() and "\\" not in back else pages[0]


def _cookie(name: str, value: str) -> Cookie:
    return Cookie(
        key=f"yb_{name}", value=value, path="/dashboard", max_age=YEAR_SECONDS, httponly=True, samesite="strict"
    )


def _form(body: bytes) -> dict[str, str]:
    """The fields of a form (application/x-www-form-urlencoded); of several of one name the last."""
    return {name: values[-1] for name, values in parse_qs(body.decode("latin-1")).items()}
