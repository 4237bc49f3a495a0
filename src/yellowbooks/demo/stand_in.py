"""A small OAuth server in place of GitHub, for a machine without one: same paths, same answers, no passwords.

Whoever reaches it may say who they are, so it runs only where the settings name no real client, and answers only this
site: one client, one redirect address. Codes are good once and for a minute (RFC 6749, 4.1.2), PKCE is required.
"""

import base64
import hashlib
import hmac
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode

from litestar import Request, Response, get, post
from litestar.params import RawBody
from litestar.response import Redirect

from yellowbooks.demo.pages import Pages, headers
from yellowbooks.demo.provider import Person

CODE_SECONDS = 60
MOST_GRANTS = 1000
PEOPLE = (
    Person("1001", "nomin", "Номин", "nomin@example.com"),
    Person("1002", "temuulen", "Тэмүүлэн", "temuulen@example.com"),
    Person("1003", "sarnai", "Sarnai B.", "sarnai@example.com"),
)
_EMAIL = re.compile(r"[^\s@<>\"]{1,64}@[^\s@<>\"]{1,180}\.[^\s@<>\".]{2,24}")


@dataclass(slots=True)
class Grants:
    """What was allowed: codes that wait to be exchanged, and the tokens that came of them."""

    codes: dict[str, tuple[Person, str, float]] = field(default_factory=dict)
    tokens: dict[str, Person] = field(default_factory=dict)

    def allow(self, person: Person, challenge: str) -> str:
        """A code for this person."""
        code = secrets.token_urlsafe(20)
        self.codes[code] = (person, challenge, time.monotonic() + CODE_SECONDS)
        _bounded(self.codes)
        return code

    def exchange(self, code: str, verifier: str) -> str | None:
        """A token for a code, once; None where the code or its verifier is none."""
        person, challenge, until = self.codes.pop(code, (None, "", 0.0))
        digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if person is None or time.monotonic() > until or not hmac.compare_digest(digest, challenge):
            return None
        token = f"stand-in-{secrets.token_urlsafe(24)}"
        self.tokens[token] = person
        _bounded(self.tokens)
        return token


def _bounded(kept: dict[str, Any]) -> None:
    while len(kept) > MOST_GRANTS:
        kept.pop(next(iter(kept)))


def stand_in_routes(pages: Pages, client_id: str, client_secret: str, callback: str) -> list[Any]:
    """The pages and the answers of the stand-in, below `/stand-in`."""
    grants = Grants()
    return [*_consent_routes(pages, grants, client_id, callback), *_token_routes(grants, client_id, client_secret)]


def _consent_routes(pages: Pages, grants: Grants, client_id: str, callback: str) -> list[Any]:
    def refused(asked: dict[str, str]) -> bool:
        return asked.get("client_id") != client_id or asked.get("redirect_uri") != callback

    def consent(request: Request[Any, Any, Any], asked: dict[str, str], wrong: str = "") -> Response[str]:
        return pages.page(
            request, "stand_in.html", people=PEOPLE, asked=asked, wrong=wrong, status=400 if wrong else 200
        )

    @get("/stand-in/login/oauth/authorize", include_in_schema=False)
    async def authorize(request: Request[Any, Any, Any]) -> Response[str]:
        asked = {name: request.query_params.get(name, "") for name in ASKED}
        # Whoever asks for another address is sent nowhere (RFC 6749, 4.1.2.1).
        if refused(asked) or not asked["code_challenge"] or asked["code_challenge_method"] != "S256":
            return pages.page(request, "not_found.html", status=400)
        return consent(request, asked)

    @post("/stand-in/login/oauth/authorize", status_code=303, include_in_schema=False)
    async def decide(request: Request[Any, Any, Any], body: RawBody) -> Response[Any]:
        form = _form(body)
        asked = {name: form.get(name, "") for name in ASKED}
        if refused(asked) or not from_here(request):
            return pages.page(request, "not_found.html", status=400)
        answer = {"state": asked["state"]}
        if form.get("decision") != "allow":
            return _back(callback, answer | {"error": "access_denied"})
        person = _chosen(form)
        if person is None:
            return consent(
                request, asked | {"name": form.get("name", ""), "email": form.get("email", "")}, "wrong_email"
            )
        return _back(callback, answer | {"code": grants.allow(person, asked["code_challenge"])})

    return [authorize, decide]


ASKED = ("client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method")


def _token_routes(grants: Grants, client_id: str, client_secret: str) -> list[Any]:
    @post("/stand-in/login/oauth/access_token", status_code=200, include_in_schema=False)
    async def exchange(body: RawBody) -> Response[dict[str, Any]]:
        form = _form(body)
        known = form.get("client_id") == client_id
        if not (known and hmac.compare_digest(form.get("client_secret", "").encode(), client_secret.encode())):
            return _json({"error": "incorrect_client_credentials"})
        token = grants.exchange(form.get("code", ""), form.get("code_verifier", ""))
        if token is None:
            return _json({"error": "bad_verification_code"})
        return _json({"access_token": token, "token_type": "bearer", "scope": "read:user,user:email"})

    def holder(request: Request[Any, Any, Any]) -> Person | None:
        return grants.tokens.get(request.headers.get("authorization", "").removeprefix("Bearer "))

    @get("/stand-in/rest/user", include_in_schema=False)
    async def user(request: Request[Any, Any, Any]) -> Response[dict[str, Any]]:
        person = holder(request)
        if person is None:
            return _json({"message": "Bad credentials"}, 401)
        return _json({"id": int(person.id), "login": person.login, "name": person.name, "email": None})

    @get("/stand-in/rest/user/emails", include_in_schema=False)
    async def emails(request: Request[Any, Any, Any]) -> Response[Any]:
        person = holder(request)
        if person is None:
            return _json({"message": "Bad credentials"}, 401)
        return _json([{"email": person.email, "primary": True, "verified": True, "visibility": "private"}])

    return [exchange, user, emails]


def from_here(request: Request[Any, Any, Any]) -> bool:
    """Whether a form was sent by a page of this site (Fetch Metadata; Origin where a browser has none)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is None or origin == f"{request.url.scheme}://{request.headers.get('host', '')}"


def _chosen(form: dict[str, str]) -> Person | None:
    """Who was picked from the list, or typed; None where what was typed is no address."""
    for person in PEOPLE:
        if form.get("person") == person.login:
            return person
    email, name = form.get("email", "").strip(), form.get("name", "").strip()[:80]
    if not _EMAIL.fullmatch(email):
        return None
    number = int.from_bytes(hashlib.sha256(email.lower().encode()).digest()[:4], "big")
    return Person(str(10_000 + number), email.partition("@")[0][:39], name or email.partition("@")[0], email)


def _form(body: bytes) -> dict[str, str]:
    """The fields of a form, the first of each name."""
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[0] for name, values in fields.items()}


def _back(callback: str, answer: dict[str, str]) -> Redirect:
    return Redirect(f"{callback}?{urlencode(answer)}", status_code=303, headers=headers())


def _json(content: Any, status: int = 200) -> Response[Any]:
    return Response(content, status_code=status, media_type="application/json", headers=headers())
