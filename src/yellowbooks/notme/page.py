"""The page behind the link. To look at it changes nothing, however often and by whom; only its button acts.

Mail scanners open every link, some with HEAD, and some even send off a form that a script would (RFC 9110, 9.2.1): so
there is no script, and nothing happens before a person presses.
"""

import base64
import hashlib
import time
import tomllib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from litestar import HttpMethod, Response, route
from litestar.params import FromPath, FromQuery

from yellowbooks.jobs import Kind, Queue, QueueUnavailable
from yellowbooks.notme.links import PATH, BadLink, Claim, Links
from yellowbooks.notme.revoke import NotMe

AWAY_SECONDS = 60
STATUS = {"ask": 200, "done": 200, "ended": 410, "wrong": 404, "away": 503}

_FOLDER = files("yellowbooks.notme")
_STYLE = (_FOLDER / "page.css").read_text("utf-8")
_WORDS: dict[str, dict[str, str]] = tomllib.loads((_FOLDER / "words.toml").read_text("utf-8"))
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_TEMPLATE = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
    (_FOLDER / "page.html").read_text("utf-8").replace("/* page.css */", _STYLE)
)
HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
    "X-Content-Type-Options": "nosniff",
}


def page_routes(links: Links, queue: Queue, kind: Kind[NotMe], *, clock: Callable[[], float] = time.time) -> list[Any]:
    """`GET`, `HEAD` and `POST /not-me/{token}`; the token is the key to it."""

    def claimed(token: str) -> tuple[str, Claim | None]:
        try:
            claim = links.read(token)
        except BadLink:
            return "wrong", None
        return ("ask" if clock() < claim.expires else "ended"), claim

    @route(
        f"{PATH}{{token:str}}", http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False,
        sync_to_thread=False,
    )  # fmt: skip
    def look(token: FromPath[str], language: FromQuery[str] = "") -> Response[str]:
        state, claim = claimed(token)
        return _page(state, claim, language)

    @route(f"{PATH}{{token:str}}", http_method=[HttpMethod.POST], include_in_schema=False)
    async def press(token: FromPath[str], language: FromQuery[str] = "") -> Response[str]:
        state, claim = claimed(token)
        if claim and state == "ask":
            state = await _act(queue, kind, claim, clock())
        return _page(state, claim, language)

    return [look, press]


async def _act(queue: Queue, kind: Kind[NotMe], claim: Claim, now: float) -> str:
    """A job a link: whoever presses twice, or presses what another pressed, is told the same."""
    digest = hashlib.blake2b(claim.job_id.encode(), digest_size=12).hexdigest()
    press = NotMe(job_id=f"not-me-{digest}", user_id=claim.user_id, sign_in=claim.job_id, pressed=round(now * 1000))
    try:
        _, receipt = await queue.admit(kind, press)
    except QueueUnavailable:
        return "away"
    return "away" if receipt.word == "full" else "done"


def _page(state: str, claim: Claim | None, asked: str) -> Response[str]:
    language = next((one for one in (asked, claim.language if claim else "") if one in _WORDS), "mn")
    other = next(one for one in _WORDS if one != language)
    html = _TEMPLATE.render(state=state, language=language, other=other, words=_WORDS[language])
    headers = HEADERS | ({"Retry-After": str(AWAY_SECONDS)} if state == "away" else {})
    return Response(html, status_code=STATUS[state], media_type="text/html", headers=headers)
