"""Who may call: keys of the settings and keys that were issued; operators' apart from those of applications."""

import base64
import hmac
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import HTTPException, NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from yellowbooks.access import Found, Ring, Sessions, read_key
from yellowbooks.api.hosts import PROBES, host_of, is_local
from yellowbooks.api.session import COOKIE, FORM, look_at_act, to_sign_in
from yellowbooks.api.signed import KEY_ID, PROVE, Verify, fault_of, is_signed, job_id_of, verified

NAME_LENGTH = 64  # characters of an operator's name
AWAY_RETRY_SECONDS = 5
CALLER, STILL = "caller", "still"
UNKNOWN = Found(why="unknown")
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="yellowbooks"'}
"""What an answer without a key asks for (RFC 9110, section 11.6.1). Basic is taken and not asked for: a browser that
was asked would send the key along with whatever another site's page makes it send."""
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

    `secret` is the key of the settings that he has, or what he sent, b"" where nothing was needed; `own` is what he
    called himself when he signed in.
    """

    role: str = "admin"
    name: str = ""
    id: str = ""
    kinds: tuple[str, ...] = ()
    secret: bytes = b""
    own: str = ""

    def may(self, kind: str) -> bool:
        """Whether this kind is his."""
        return not self.kinds or kind in self.kinds


def _nobody(_why: str) -> None:
    """Nobody counts."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What stands beside the keys of the settings. `ring` has those that were issued, `sessions` those of browsers;
    `closed`: never open without a key; `refused` hears who was not let in; `verify` looks at signatures. `hosts` are
    the names, beside this machine's own, by which an API without keys may be asked; None: by any."""

    ring: Ring | None = None
    sessions: Sessions | None = None
    closed: bool = False
    refused: Refused = _nobody
    verify: Verify | None = None
    hosts: frozenset[str] | None = None

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
    password of HTTP Basic (RFC 7617); a browser that signed in has a session.
    """

    def __init__(self, api_keys: Sequence[str], admin_keys: Sequence[str], gate: Gate = OPEN) -> None:
        self._fixed = [("api", key.encode()) for key in api_keys] + [("admin", key.encode()) for key in admin_keys]
        self._ring, self._sessions, self._closed, self.refused = gate.ring, gate.sessions, gate.closed, gate.refused
        self._verify, self._hosts = gate.verify, gate.hosts

    @property
    def open(self) -> bool:
        """Whether nobody needs a key."""
        return not self._fixed and not self._closed and (self._ring is None or not self._ring.any)

    @property
    def closed(self) -> bool:
        """Whether a key is asked for also where none was issued."""
        return bool(self._fixed) or self._closed

    # Guards are functions and no methods: the framework copies a route, and with a method its object.

    def callers(self) -> Guard:
        """A guard that any key passes, where its scope has the kind that is to be enqueued."""

        async def check(connection: Connection, handler: BaseRouteHandler) -> None:
            operation = str(getattr(handler, "operation_id", ""))
            kind = operation.removeprefix(ENQUEUE) if operation.startswith(ENQUEUE) else ""
            if kind and self._verify and is_signed(connection):  # proved by the body, which comes after the guards
                connection.scope["state"][PROVE] = partial(self._proved, connection, kind)
            else:
                self._scoped(await self._caller(connection), kind)

        return check

    def names(self) -> Guard:
        """A guard that, where nobody needs a key, refuses names that are not this machine's.

        The page of another site can make its own name lead here (DNS rebinding); to a browser what it asks then is its
        own. Its name is what gives it away. Probes are answered by any name: they say nothing of anybody, and a load
        balancer asks by a name of its own.
        """

        async def check(connection: Connection, _handler: BaseRouteHandler) -> None:
            if connection.scope["path"] in PROBES:
                return
            host = host_of(connection.headers.get("host", ""))
            if self._hosts is None or not self.open or is_local(host) or host in self._hosts:
                return
            self.refused("host")
            raise HTTPException(
                "this API needs no key, so it answers to this machine's own names alone: ask it at 127.0.0.1 or "
                "localhost, set YB_PUBLIC_URL to the address by which people reach it, or make a key: yellowbooks keys "
                "issue --role api",
                status_code=421,
            )

        return check

    def operators(self) -> Guard:
        """A guard that a key of operators passes, and a browser that signed in by one."""

        async def check(connection: Connection, handler: BaseRouteHandler) -> None:
            if "authorization" not in connection.headers and (caller := await self.signed_in(connection)):
                try:
                    look_at_act(connection, connection.cookies[COOKIE], form=bool(handler.opt.get(FORM)))
                except PermissionDeniedException:
                    self.refused("csrf")
                    raise
                self._let_in(connection, caller, session=True)
            elif (await self._caller(connection, page=True)).role != "admin":
                self.refused("scope")
                raise PermissionDeniedException(
                    "this is a key of an application; operators' keys are those of YB_ADMIN_KEYS, and those made by "
                    "yellowbooks keys issue --role admin"
                )

        return check

    async def prove(self, given: bytes) -> tuple[Caller | None, str]:
        """Whose key this is, or why it opens nothing, in one word."""
        matching = [role for role, key in self._fixed if hmac.compare_digest(key, given)]  # each is compared, always
        if matching:
            return Caller("admin" if "admin" in matching else "api", secret=given), ""
        # Also while it is open: an API may not have heard of the first key yet.
        found = await self._ring.find(text) if self._ring and read_key(text := given.decode("latin-1")) else UNKNOWN
        if record := found.record:
            return Caller(record.role, record.name, record.id, record.kinds, given), ""
        return None, found.why

    def _scoped(self, caller: Caller, kind: str) -> None:
        if kind and not caller.may(kind):
            self.refused("scope")
            raise PermissionDeniedException(
                f"this key may enqueue {', '.join(caller.kinds)} alone; use another, or make one: yellowbooks keys "
                f"issue --role api --kinds {kind}"
            )

    async def _proved(self, connection: Connection, kind: str, body: bytes) -> str:
        """Prove a signed request; gives the id of its job. Raises HTTP 401, 403 and 503."""
        found = await self._ring.signer(connection.headers.get(KEY_ID, "")) if self._ring else None
        if found is None and self._ring and self._ring.away:
            raise self._refusal(connection, "away", b"", page=False)
        record, key = found or (None, b"")
        fault = fault_of(connection) or ("X-Key-Id names no key that signs" if record is None else "")
        if not fault and self._verify and record and self._ring:
            fault = verified(self._verify, connection, body, key) or WORDS.get(self._ring.ended(record), "")
        if fault or record is None or self._ring is None:
            self.refused("signature")
            raise NotAuthorizedException(f"this request is not proved by its signature: {fault}", headers=CHALLENGE)
        caller = Caller(record.role, record.name, record.id, record.kinds)
        self._scoped(caller, kind)
        self._let_in(connection, caller)
        self._ring.used(record)
        return job_id_of(connection)

    # Sessions

    async def begin(self, caller: Caller, own: str) -> str:
        """A session of this operator; gives its token."""
        if self._sessions is None:
            raise ValueError("sessions are kept nowhere")
        return await self._sessions.begin(caller.id or self._sessions.mark(caller.secret), own)

    async def end(self, token: str) -> None:
        """It is over."""
        if self._sessions:
            await self._sessions.end(token)

    async def signed_in(self, connection: Connection) -> Caller | None:
        """The operator of the request's session; None where there is none, or where its key works no more."""
        token = connection.cookies.get(COOKIE, "")
        if self._sessions is None or not token or (session := await self._sessions.find(token)) is None:
            return None
        for role, key in self._fixed:
            if role == "admin" and self._sessions.marked(key, session.key):
                return Caller(secret=key, own=session.name)
        record = await self._ring.holds(session.key) if self._ring else None
        if record is None:
            await self.end(token)
            return None
        return Caller(record.role, record.name, record.id, record.kinds, own=session.name)

    # Inside

    async def _caller(self, connection: Connection, *, page: bool = False) -> Caller:
        given = _given(connection.headers.get("authorization", ""))
        caller, why = await self.prove(given)
        if caller is None and self.open:
            caller = Caller(secret=given)
        if caller is None:
            raise self._refusal(connection, why if given else "no_key", given, page=page)
        self._let_in(connection, caller)
        return caller

    def _let_in(self, connection: Connection, caller: Caller, *, session: bool = False) -> None:
        async def still() -> bool:
            if session:
                return await self.signed_in(connection) is not None
            return not caller.id or (self._ring is not None and await self._ring.holds(caller.id) is not None)

        connection.scope["state"].update({CALLER: caller, STILL: still})

    def _refusal(self, connection: Connection, why: str, given: bytes, *, page: bool) -> HTTPException:
        self.refused(why)
        if why == "away":
            return HTTPException(
                "the queue is away, and this API does not know this key; send the request again in "
                f"{AWAY_RETRY_SECONDS} s",
                status_code=503,
                headers={"Retry-After": str(AWAY_RETRY_SECONDS)},
            )
        looks = connection.scope.get("method") == "GET" and "text/html" in connection.headers.get("accept", "")
        if page and looks and self._sessions and not given:
            return to_sign_in(connection)
        return NotAuthorizedException(WORDS.get(why) or _unknown(given), headers=CHALLENGE)


def _unknown(given: bytes) -> str:
    cut = given.startswith(b"yb_") and not read_key(given.decode("latin-1"))
    part = "a part of a key; send all of it" if cut else "not a key of this API"
    return f"what came is {part}: «Authorization: Bearer KEY», with one of YB_API_KEYS or of yellowbooks keys issue"


def caller_of(connection: Connection) -> Caller:
    """Who a guard let in."""
    found = connection.scope["state"].get(CALLER)
    return found if isinstance(found, Caller) else Caller()


async def still_in(connection: Connection) -> bool:
    """Whether whoever was let in would be let in now: for answers that go on and on."""
    still = connection.scope["state"].get(STILL)
    return still is None or bool(await still())


def operator_of(connection: Connection) -> tuple[str, Caller]:
    """How an operator is called: by the name of his key, and by what he calls himself (X-Operator, the user of HTTP
    Basic, or the name of his session); "" where there is neither."""
    caller = caller_of(connection)
    own = _text(connection.headers.get("x-operator", "")) or _user(connection.headers.get("authorization", ""))
    own = own or caller.own
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
