"""Who may call: keys of the settings and keys that were issued; operators' apart from those of applications."""

import base64
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from yellowbooks.access import Found, Ring, read_key

NAME_LENGTH = 64  # characters of an operator's name
AWAY_RETRY_SECONDS = 5
CALLER = "caller"
UNKNOWN = Found(why="unknown")
ENQUEUE = "enqueue-"
"""How the operation of a route begins that takes jobs of one kind, which is its name."""

Connection = ASGIConnection[Any, Any, Any, Any]
Guard = Callable[[Connection, BaseRouteHandler], Awaitable[None]]
Refused = Callable[[str], None]
"""Hears why a request was refused, in one word."""

WORDS = {
    "no_key": "send a key as «Authorization: Bearer KEY»; make one: yellowbooks keys issue",
    "revoked": "this key was revoked; use the newer one, or make one: yellowbooks keys issue",
    "expired": "this key has expired; make another: yellowbooks keys issue",
    "secret": "this key was made under a secret that this API does not have; give it the YB_SECRET_KEYS (or the "
    "YB_DATA_DIR) under which the key was made, or make another",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `name` is the name of an issued key, `id` its id, both "" for another; `kinds` empty: every kind.

    `secret` is the key itself, b"" where none was needed or given.
    """

    role: str = "admin"
    name: str = ""
    id: str = ""
    kinds: tuple[str, ...] = ()
    secret: bytes = b""

    def may(self, kind: str) -> bool:
        """Whether this kind is his."""
        return not self.kinds or kind in self.kinds


def _nobody(_why: str) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands beside the keys of the settings. `ring` has those that were issued; `closed`: never open without a
    key; `refused` hears who was not let in."""

    ring: Ring | None = None
    closed: bool = False
    refused: Refused = _nobody

    async def start(self) -> None:
        """Begin to look after the issued keys."""
        if self.ring:
            await self.ring.start()

    async def close(self) -> None:
        """End."""
        if self.ring:
            await self.ring.close()


OPEN = Gate()
"""Without issued keys."""


class Keys:
    """Lets requests in. Without any key, in the settings or issued, it is open to whoever reaches it, unless closed.

    A key of the settings is compared with each in constant time. A key may come as a bearer (RFC 6750) or as the
    password of HTTP Basic (RFC 7617).
    """

    def __init__(self, api_keys: Sequence[str], admin_keys: Sequence[str], gate: Gate = OPEN) -> None:
        self._fixed = [("api", key.encode()) for key in api_keys] + [("admin", key.encode()) for key in admin_keys]
        self._ring, self._closed, self._refused = gate.ring, gate.closed, gate.refused

    @property
    def closed(self) -> bool:
        """Whether a key is asked for also where none was issued."""
        return bool(self._fixed) or self._closed

    # Guards are functions and no methods: the framework copies a route, and with a method its object.

    def callers(self) -> Guard:
        """A guard that any key passes, where its scope has the kind that is to be enqueued."""

        async def check(connection: Connection, handler: BaseRouteHandler) -> None:
            caller = await self._caller(connection)
            operation = str(getattr(handler, "operation_id", ""))
            if operation.startswith(ENQUEUE) and not caller.may(kind := operation.removeprefix(ENQUEUE)):
                self._refused("scope")
                raise PermissionDeniedException(
                    f"this key may enqueue {', '.join(caller.kinds)} alone; use another, or make one: yellowbooks keys "
                    f"issue --role api --kinds {kind}"
                )

        return check

    def operators(self) -> Guard:
        """A guard that a key of operators passes."""

        async def check(connection: Connection, _handler: BaseRouteHandler) -> None:
            if (await self._caller(connection)).role != "admin":
                self._refused("scope")
                raise PermissionDeniedException(
                    "this is a key of an application; operators' keys are those of YB_ADMIN_KEYS, and those made by "
                    "yellowbooks keys issue --role admin"
                )

        return check

    async def _caller(self, connection: Connection) -> Caller:
        caller = connection.scope["state"][CALLER] = await self._known(connection)
        return caller

    async def _known(self, connection: Connection) -> Caller:
        given = _given(connection.headers.get("authorization", ""))
        matching = [role for role, key in self._fixed if hmac.compare_digest(key, given)]  # each is compared, always
        if matching:
            return Caller("admin" if "admin" in matching else "api", secret=given)
        # Looked up first: an API that is open may not have heard of the first key yet.
        found = await self._ring.find(text) if self._ring and read_key(text := given.decode("latin-1")) else UNKNOWN
        if record := found.record:
            return Caller(record.role, record.name, record.id, record.kinds, given)
        if self._open():
            return Caller(secret=given)
        if found.why == "away":
            raise self._later()
        why = found.why if given else "no_key"
        raise self._unauthorized(connection, why, WORDS.get(why) or _unknown(given))

    def _open(self) -> bool:
        return not self._fixed and not self._closed and (self._ring is None or not self._ring.any)

    def _unauthorized(self, connection: Connection, why: str, detail: str) -> NotAuthorizedException:
        self._refused(why)
        challenge = _challenge(connection.headers.get("accept", ""))
        return NotAuthorizedException(detail, headers={"WWW-Authenticate": challenge})

    def _later(self) -> HTTPException:
        self._refused("away")
        return HTTPException(
            f"the queue is away, and this API does not know this key; send the request again in {AWAY_RETRY_SECONDS} s",
            status_code=503,
            headers={"Retry-After": str(AWAY_RETRY_SECONDS)},
        )


def _unknown(given: bytes) -> str:
    cut = given.startswith(b"yb_") and not read_key(given.decode("latin-1"))
    part = "a part of a key; send all of it" if cut else "not a key of this API"
    return f"what came is {part}: «Authorization: Bearer KEY», with one of YB_API_KEYS or of yellowbooks keys issue"


def _challenge(accept: str) -> str:
    """What an answer without a key asks for (RFC 9110, section 11.6.1).

    Chromium takes a header of two challenges for one of the first, so that it would never ask a person for the key:
    where a page is wanted, Basic stands alone.
    """
    basic = 'Basic realm="yellowbooks", charset="UTF-8"'
    return basic if "text/html" in accept else f"Bearer, {basic}"


def caller_of(connection: Connection) -> Caller:
    """Who a guard let in."""
    found = connection.scope["state"].get(CALLER)
    return found if isinstance(found, Caller) else Caller()


def operator_of(connection: Connection) -> tuple[str, Caller]:
    """How an operator is called: by the name of his key, and by what he calls himself (X-Operator, or the user of HTTP
    Basic); "" where there is neither."""
    caller = caller_of(connection)
    own = _text(connection.headers.get("x-operator", "")) or _user(connection.headers.get("authorization", ""))
    own = "" if own == caller.name else own
    name = ": ".join(part for part in (caller.name, own) if part)
    return "".join(c for c in name if c.isprintable())[:NAME_LENGTH], caller


def _text(header: str) -> str:
    """A header that a program sent as UTF-8, which the server hands on as Latin-1 (RFC 9110, section 5.5)."""
    try:
        return header.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return header


def _user(header: str) -> str:
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).partition(b":")[0].decode("utf-8", "replace")
    except ValueError:  # not base64, or not even ASCII
        return ""


def _given(header: str) -> bytes:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except ValueError:  # not base64, or not even ASCII
            return b""
    return b""
