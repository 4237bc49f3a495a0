"""The pages: words in two languages, templates, and the headers that let no foreign script run."""

import json
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from jinja2 import DictLoader, Environment, StrictUndefined
from litestar import Request, Response
from litestar.datastructures import Cookie

from yellowbooks.demo.cookies import LANGUAGE, SESSION, Signer
from yellowbooks.demo.directory import Directory

LANGUAGES = ("mn", "en")
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; frame-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A mail is shown as a stranger's page: no script, no request, no origin.
MAIL_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
_FOLDER = files("yellowbooks.demo")


@cache
def words() -> dict[str, dict[str, str]]:
    """Every text, by language and name."""
    return tomllib.loads((_FOLDER / "words.toml").read_text("utf-8"))


def language_of(request: Request[Any, Any, Any]) -> str:
    """The language that was chosen, else the browser's first that there is, else Mongolian."""
    chosen = request.cookies.get(LANGUAGE)
    if chosen in LANGUAGES:
        return str(chosen)
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.split(";")[0].strip().lower()[:2]
        if tag in LANGUAGES:
            return tag
    return LANGUAGES[0]


class Pages:
    """Renders the pages."""

    def __init__(self, directory: Directory, signer: Signer) -> None:
        self._directory = directory
        self._signer = signer
        sources = {one.name: one.read_text("utf-8") for one in (_FOLDER / "pages").iterdir() if one.name.endswith("l")}
        self._templates = Environment(
            loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )

    def session(self, request: Request[Any, Any, Any]) -> dict[str, Any] | None:
        """Who is signed in; None where nobody is."""
        found = self._signer.read(SESSION, request.cookies.get(SESSION))
        return found if isinstance(found, dict) else None

    def page(
        self, request: Request[Any, Any, Any], name: str, *, status: int = 200, cookies: tuple[Cookie, ...] = (),
        **values: Any,
    ) -> Response[str]:  # fmt: skip
        """One page of the site in the reader's language."""
        language = language_of(request)
        # Where the other language leads to: the same page, which is asked for once more.
        here = request.url.path + (
            f"?{query}" if (query := urlencode(list(request.query_params.multi_items()))) else ""
        )
        html = self._templates.get_template(name).render(
            language=language, t=words()[language], others={one: words()[one]["name"] for one in LANGUAGES},
            here=here, session=self.session(request), directory=self._directory, **values,
        )  # fmt: skip
        return Response(html, status_code=status, media_type="text/html", headers=headers(), cookies=cookies)


def headers(policy: str = POLICY) -> dict[str, str]:
    """What goes with every answer."""
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


def json_answer(content: Any) -> Response[bytes]:
    """A JSON answer for the page's own script."""
    body = json.dumps(content, ensure_ascii=False).encode()
    return Response(body, media_type="application/json", headers=headers())


def file_answer(name: str, media_type: str) -> Response[bytes]:
    """One of the site's own files."""
    return Response((_FOLDER / "files" / name).read_bytes(), media_type=media_type, headers=headers())
