"""A stand-in for GitHub on 127.0.0.1: its page, codes that work once, PKCE (RFC 7636), and one user a code."""

import base64
import hashlib
import html
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.nextauth.servers import Server

CLIENT_ID, CLIENT_SECRET = "yellow-books", "a secret of the stand-in"
PAGE = """<!doctype html><title>Sign in to GitHub</title><form method="post"><button>Authorize Yellow Books</button>
{fields}</form>"""


class GitHub:
    """The server and what it granted."""

    def __init__(self) -> None:
        self.codes: dict[str, dict[str, str]] = {}
        self.given: dict[str, str] = {}
        self.lenient = False  # some providers give the same token for a code that comes again
        self.tokens: dict[str, int] = {}
        self.users = 0
        self.lock = threading.Lock()
        self.server = Server(("127.0.0.1", 0), handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def authorize(self, asked: dict[str, str]) -> str:
        """What the button of the page does; gives the address that the browser is sent back to."""
        assert asked["client_id"] == CLIENT_ID
        assert asked["response_type"] == "code"
        code = secrets.token_hex(10)
        with self.lock:
            self.codes[code] = asked
        back = {"code": code} | ({"state": asked["state"]} if "state" in asked else {})
        return f"{asked['redirect_uri']}?{urlencode(back)}"

    def exchange(self, form: dict[str, str], basic: str | None) -> dict[str, str]:
        """A token for a code, which is then used up."""
        code = form.get("code", "")
        with self.lock:
            asked = self.codes.get(code) if self.lenient else self.codes.pop(code, None)
        if asked is None or form.get("redirect_uri") != asked["redirect_uri"]:
            return {"error": "bad_verification_code"}
        given = base64.b64decode(basic.removeprefix("Basic ")).decode() if basic else ""
        secret = given.partition(":")[2] or form.get("client_secret", "")
        if secret not in (CLIENT_SECRET, CLIENT_SECRET.replace(" ", "+"), CLIENT_SECRET.replace(" ", "%20")):
            return {"error": "incorrect_client_credentials"}
        if challenge := asked.get("code_challenge"):
            hashed = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
            if base64.urlsafe_b64encode(hashed).decode().rstrip("=") != challenge:
                return {"error": "invalid_grant"}
        with self.lock:
            token = self.given.setdefault(code, f"gho_{secrets.token_hex(18)}")
            if token not in self.tokens:
                self.users += 1
                self.tokens[token] = self.users
        return {"access_token": token, "token_type": "bearer", "scope": "read:user,user:email"}

    def user(self, token: str) -> dict[str, Any] | None:
        """Each token is a user of its own, as the API takes ten sign-ins an hour of one."""
        number = self.tokens.get(token)
        if number is None:
            return None
        person = {"login": f"bat{number}", "name": "Бат", "email": f"bat{number}@example.com"}
        return {"id": number, "avatar_url": None} | person

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def handler(github: GitHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536  # one write an answer: two would wait for the delayed ACK between them

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, status: int, kind: str, body: str, **headers: str) -> None:
            content = body.encode()
            self.send_response(status)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def form(self) -> dict[str, str]:
            return dict(parse_qsl(self.rfile.read(int(self.headers["content-length"])).decode()))

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/login/oauth/authorize":
                asked = dict(parse_qsl(parts.query))
                fields = "".join(
                    f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
                    for name, value in asked.items()
                )
                return self.answer(200, "text/html", PAGE.format(fields=fields))
            if parts.path == "/api/v3/user":
                user = github.user(self.headers.get("authorization", "").rpartition(" ")[2])
                return self.answer(200 if user else 401, "application/json", json.dumps(user))
            return self.answer(404, "text/plain", "")

        def do_POST(self) -> None:
            form = self.form()
            if urlsplit(self.path).path == "/login/oauth/authorize":
                return self.answer(302, "text/plain", "", Location=github.authorize(form))
            return self.answer(
                200, "application/json", json.dumps(github.exchange(form, self.headers.get("authorization")))
            )

    return Handler
