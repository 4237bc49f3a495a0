"""Signing in and out with a browser: by an operator's key, for a session."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.datastructures import Cookie

from yellowbooks.access import Throttle
from yellowbooks.api.keys import Keys
from yellowbooks.api.session import COOKIE, csrf_fits, csrf_of, session_cookie

Asked = Request[Any, Any, Any]
WORDS = ("unknown", "revoked", "expired", "secret", "scope", "away", "throttled")


@dataclass(frozen=True, slots=True)
class Entered:
    """How an attempt to sign in ended: with a `cookie`, or with `why` not, and for how long (s) not to try again."""

    cookie: Cookie | None = None
    why: str = ""
    wait: int = 0


def _peer(request: Asked) -> str:
    return request.client.host if request.client else ""


class Door:
    """Where operators sign in; `keys` know who they are, and `address` from where they come."""

    def __init__(self, keys: Keys, tell: Callable[..., None], address: Callable[[Asked], str] = _peer) -> None:
        self._keys, self._tell, self._address, self._throttle = keys, tell, address, Throttle()

    @property
    def needed(self) -> bool:
        """Whether anybody has to sign in."""
        return not self._keys.open

    async def enter(self, request: Asked, key: str, name: str) -> Entered:
        """Begin a session; one that the browser had is over."""
        address = self._address(request)
        if (wait := self._throttle.wait(address)) > 0:
            return self._refuse("throttled", math.ceil(wait))
        self._throttle.failed(address)  # before it is known: many attempts at once are so many
        caller, why = await self._keys.prove(key.strip().encode())
        if why == "away":
            self._throttle.forgive(address)
        if caller is None or caller.role != "admin":
            return self._refuse(why or "scope")
        self._throttle.forgive(address)
        await self._end(request)
        token = await self._keys.begin(caller, "".join(c for c in name.strip() if c.isprintable())[:40])
        self._tell("signed_in", who=caller.name or None, key=caller.id or None)
        return Entered(session_cookie(token))

    async def leave(self, request: Asked) -> Cookie:
        """End the session; gives a cookie that makes the browser forget it."""
        await self._end(request)
        return session_cookie("")

    async def inside(self, request: Asked) -> bool:
        """Whether the browser is signed in."""
        return await self._keys.signed_in(request) is not None

    def csrf(self, request: Asked) -> str:
        """What forms of the page must bring; "" without a session."""
        return csrf_of(request.cookies.get(COOKIE, ""))

    def fits(self, request: Asked, given: str) -> bool:
        """Whether a form brought it."""
        return csrf_fits(request.cookies.get(COOKIE, ""), given)

    def _refuse(self, why: str, wait: int = 0) -> Entered:
        self._keys.refused(why)
        self._tell("sign_in_refused", why=why)
        return Entered(why=why, wait=wait)

    async def _end(self, request: Asked) -> None:
        if token := request.cookies.get(COOKIE):
            await self._keys.end(token)
