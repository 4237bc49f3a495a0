"""The OAuth client: GitHub, or the server that stands in for it, by the same steps (RFC 6749, 4.1; PKCE: RFC 7636).

GitHub's addresses: docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps, which takes PKCE with
`S256`; users: docs.github.com/rest/users, `GET /user` and `GET /user/emails`.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from yellowbooks.demo.web import NoAnswer, ask

SCOPE = "read:user user:email"


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in, as the provider says."""

    id: str
    login: str
    name: str
    email: str


class SignInFailed(Exception):
    """A sign-in that came to nothing; `word` names the text that says why, `why` completes it."""

    def __init__(self, word: str, why: str = "") -> None:
        self.word, self.why = word, why
        super().__init__(f"{word} {why}".strip())


@dataclass(frozen=True, slots=True)
class Provider:
    """Where to go for each step. `web` has the pages, `rest` the users."""

    label: str
    web: str
    rest: str
    client_id: str
    client_secret: str
    callback: str

    def begin(self) -> tuple[str, dict[str, str]]:
        """The address to send a browser to, and what to remember until it comes back."""
        pending = {"state": secrets.token_urlsafe(24), "verifier": secrets.token_urlsafe(48)}
        digest = hashlib.sha256(pending["verifier"].encode()).digest()
        query = {
            "client_id": self.client_id, "redirect_uri": self.callback, "scope": SCOPE, "state": pending["state"],
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), "code_challenge_method": "S256",
        }  # fmt: skip
        return f"{self.web}/login/oauth/authorize?{urlencode(query)}", pending

    async def finish(self, pending: Any, state: str, code: str, error: str) -> Person:
        """Who came back with this answer. Raises `SignInFailed`."""
        if not isinstance(pending, dict) or not hmac.compare_digest(pending["state"].encode(), state.encode()):
            raise SignInFailed("failed_state")
        if error or not code:
            raise SignInFailed("failed_denied")
        try:
            return await self._person(await self._token(code, pending["verifier"]))
        except NoAnswer as trouble:
            raise SignInFailed("failed_provider", str(trouble)) from None

    async def _token(self, code: str, verifier: str) -> str:
        body = {
            "client_id": self.client_id, "client_secret": self.client_secret, "code": code,
            "redirect_uri": self.callback, "code_verifier": verifier,
        }  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await ask(
            "POST", f"{self.web}/login/oauth/access_token", headers=headers, body=urlencode(body).encode()
        )
        token = answer.body.get("access_token") if isinstance(answer.body, dict) else None
        if not isinstance(token, str) or not token:  # GitHub says what was wrong with 200 and an `error`
            raise SignInFailed("failed_provider", str(dict(answer.body).get("error", answer.status)))
        return token

    async def _person(self, token: str) -> Person:
        headers = {"Authorization": f"Bearer {token}"}
        user = await ask("GET", f"{self.rest}/user", headers=headers)
        emails = await ask("GET", f"{self.rest}/user/emails", headers=headers)
        if user.status != 200 or emails.status != 200:
            raise SignInFailed("failed_provider", str(max(user.status, emails.status)))
        known = [one for one in emails.body if one.get("verified")]
        email = next((one["email"] for one in known if one.get("primary")), known[0]["email"] if known else None)
        if not email:
            raise SignInFailed("failed_email")
        login = str(user.body["login"])
        return Person(str(user.body["id"]), login, str(user.body.get("name") or login), str(email))
