"""A sign-in at HTTP level, as a browser does it, with the time of the request that next-auth's hooks run in."""

import http.client
import json
import time
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.nextauth.github import GitHub


@dataclass
class Reply:
    """An answer of the app."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float

    @property
    def location(self) -> str:
        return self.headers["location"] or ""

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Visitor:
    """One browser: its cookies and headers."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} | self.headers
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            began = time.perf_counter()
            connection.request(method, path, urlencode(form) if form is not None else None, headers)
            response = connection.getresponse()
            reply = Reply(response.status, response.headers, response.read(), time.perf_counter() - began)
        finally:
            connection.close()
        for line in reply.headers.get_all("set-cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                self.cookies.pop(name, None)
                if morsel.value:
                    self.cookies[name] = morsel.value
        return reply

    def post(self, path: str, **form: str) -> Reply:
        """A form of the app, with the token that next-auth asks for."""
        token = self.ask("GET", "/api/auth/csrf").json()["csrfToken"]
        return self.ask("POST", path, form | {"csrfToken": token, "callbackUrl": f"http://127.0.0.1:{self.port}/"})

    def authorized(self, github: GitHub) -> str:
        """Goes to the provider and presses its button; gives the path of the app's callback."""
        sent = self.post("/api/auth/signin/github")
        assert sent.location.startswith(github.url), (sent.status, sent.location, sent.body)
        back = urlsplit(github.authorize(dict(parse_qsl(urlsplit(sent.location).query))))
        return f"{back.path}?{back.query}"

    def sign_in(self, github: GitHub) -> Reply:
        """By way of the provider; gives what the app's callback answered."""
        return self.ask("GET", self.authorized(github))

    def email(self) -> str | None:
        """The address that the session is of."""
        session = self.ask("GET", "/api/auth/session").json() or {}
        found = session.get("user", {}).get("email")
        return str(found) if found else None
