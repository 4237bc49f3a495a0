"""The site: the directory, the sign-in, and the way out."""

import secrets
import time
from typing import Any
from urllib.parse import urlsplit

from litestar import Litestar, Request, Response, get, post
from litestar.config.app import AppConfig
from litestar.exceptions import HTTPException
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect

from yellowbooks.demo.cookies import (
    LANGUAGE,
    LANGUAGE_SECONDS,
    PENDING,
    PENDING_SECONDS,
    SESSION,
    SESSION_SECONDS,
    Signer,
)
from yellowbooks.demo.directory import Directory
from yellowbooks.demo.pages import LANGUAGES, Pages, file_answer, headers, language_of
from yellowbooks.demo.parts import DemoParts
from yellowbooks.demo.provider import Person, Provider, SignInFailed
from yellowbooks.demo.stand_in import from_here, stand_in_routes
from yellowbooks.demo.teller import Teller
from yellowbooks.demo.welcome import Panel, welcome_routes

LONGEST_QUERY = 100
FILES = {"site.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}


def create_site(parts: DemoParts) -> Litestar:
    """The ASGI application."""
    signer = Signer(secrets.token_bytes(32), secure=parts.site.startswith("https:"))
    directory = Directory()
    pages = Pages(directory, signer)
    provider, stand_in = _provider(parts, pages)
    teller = Teller(parts.api, parts.key, parts.spool, parts.tell)
    panel = Panel(parts, teller, provider.label)

    def refused(request: Request[Any, Any, Any], error: HTTPException) -> Response[str]:
        return pages.page(request, "not_found.html", status=error.status_code)

    def elsewhere(request: Request[Any, Any, Any]) -> Response[Any] | None:
        """A name of this machine other than the site's own, such as localhost, would lose the cookies on the way; and a
        stranger's name that leads here would let a stranger's page read this one (DNS rebinding)."""
        if request.headers.get("host") == urlsplit(parts.site).netloc:
            return None
        if request.method != "GET":
            return pages.page(request, "not_found.html", status=400)
        return Redirect(f"{parts.site}{request.url.path}", status_code=307, headers=headers())

    return Litestar(
        [
            *_directory_routes(pages, directory),
            *_sign_in_routes(pages, signer, provider, teller),
            *welcome_routes(pages, panel),
            *stand_in,
            _file,
            _language,
        ],
        openapi_config=None,
        before_request=elsewhere,
        on_shutdown=[teller.close],
        exception_handlers={HTTPException: refused},
        request_max_body_size=64 * 1024,
        on_app_init=[_no_logging],
    )


def _provider(parts: DemoParts, pages: Pages) -> tuple[Provider, list[Any]]:
    """GitHub where a client is set, else its stand-in with the routes that it needs."""
    callback = f"{parts.site}/callback"
    if parts.client_id:
        real = Provider(
            "GitHub", "https://github.com", "https://api.github.com", parts.client_id, parts.client_secret, callback
        )
        return real, []
    client, secret = "yellowbooks-demo", secrets.token_urlsafe(24)
    web = f"{parts.site}/stand-in"
    return Provider("GitHub", web, f"{web}/rest", client, secret, callback), stand_in_routes(
        pages, client, secret, callback
    )


def _directory_routes(pages: Pages, directory: Directory) -> list[Any]:
    @get("/", include_in_schema=False)
    async def home(
        request: Request[Any, Any, Any], q: FromQuery[str] = "", category: FromQuery[str] = ""
    ) -> Response[str]:
        known = category if category in directory.categories else ""
        found = directory.find(q[:LONGEST_QUERY], known, language_of(request))
        return pages.page(request, "home.html", found=found, query=q[:LONGEST_QUERY], chosen=known)

    @get("/place/{slug:str}", include_in_schema=False)
    async def place(request: Request[Any, Any, Any], slug: FromPath[str]) -> Response[str]:
        business = directory.get(slug)
        if business is None:
            return pages.page(request, "not_found.html", status=404)
        return pages.page(request, "place.html", business=business, similar=directory.similar(business))

    return [home, place]


def _sign_in_routes(pages: Pages, signer: Signer, provider: Provider, teller: Teller) -> list[Any]:
    @get("/sign-in", status_code=302, include_in_schema=False)
    async def sign_in() -> Redirect:
        address, pending = provider.begin()
        return Redirect(
            address, status_code=302, headers=headers(), cookies=[signer.cookie(PENDING, pending, PENDING_SECONDS)]
        )

    @get("/callback", include_in_schema=False)
    async def callback(request: Request[Any, Any, Any]) -> Response[Any]:
        state, code, error = (request.query_params.get(name, "") for name in ("state", "code", "error"))
        pending = signer.read(PENDING, request.cookies.get(PENDING))
        over = signer.forget(PENDING)
        try:
            person = await provider.finish(pending, state, code, error)
        except SignInFailed as failure:
            return pages.page(
                request, "failed.html", status=400, cookies=(over,), word=failure.word, why=failure.why,
                provider=provider.label,
            )  # fmt: skip
        session = _session(request, person)
        teller.post(session["event"])  # the sign-in is done, whatever becomes of the mail
        cookie = signer.cookie(SESSION, session, SESSION_SECONDS)
        return Redirect("/welcome", status_code=303, headers=headers(), cookies=[cookie, over])

    @post("/sign-out", status_code=303, include_in_schema=False)
    async def sign_out(request: Request[Any, Any, Any]) -> Response[Any]:
        if not from_here(request):
            return pages.page(request, "not_found.html", status=400)
        return Redirect("/", status_code=303, headers=headers(), cookies=[signer.forget(SESSION)])

    return [sign_in, callback, sign_out]


def _session(request: Request[Any, Any, Any], person: Person) -> dict[str, Any]:
    """Who is signed in, and the event that tells of it: one id a sign-in, so a repeated request makes one mail."""
    event = {
        "jobId": f"demo-{secrets.token_hex(8)}", "userId": f"github-{person.id}", "email": person.email,
        "name": person.name, "provider": "github", "ipAddress": request.client.host if request.client else None,
        "userAgent": request.headers.get("user-agent", "")[:512] or None, "locale": language_of(request),
    }  # fmt: skip
    at = time.time()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03d}Z"
    event = {name: value for name, value in (event | {"timestamp": stamp}).items() if value}
    return {"name": person.name, "email": person.email, "job": event["jobId"], "at": at, "event": event}


@get("/language/{to:str}", status_code=303, include_in_schema=False)
async def _language(to: FromPath[str], back: FromQuery[str] = "/") -> Redirect:
    """Remember a language and go back to where the reader was, never to another site."""
    parts = urlsplit(back)
    inside = back.startswith("/") and not back.startswith(("//", "/\\")) and not parts.netloc
    cookie = Signer.plain(LANGUAGE, to, LANGUAGE_SECONDS)
    return Redirect(
        back if inside else "/", status_code=303, headers=headers(), cookies=[cookie] if to in LANGUAGES else []
    )


@get("/files/{name:str}", sync_to_thread=False, include_in_schema=False)
def _file(name: FromPath[str]) -> Response[bytes]:
    if name not in FILES:
        raise HTTPException(status_code=404)
    return file_answer(name, FILES[name])


def _no_logging(config: AppConfig) -> AppConfig:
    config.logging_config = None
    return config
