"""Who may call: bearer keys, those of operators apart from those of applications."""

import base64
import binascii
import hmac
from collections.abc import Callable, Sequence
from typing import Any

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException
from litestar.handlers import BaseRouteHandler

NAME_LENGTH = 64  # characters of an operator's name

Guard = Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]


def guard(keys: Sequence[str], *, open_to_all: bool, setting: str) -> Guard:
    """Lets a request pass that carries one of the keys; compared in constant time.

    A browser may send the key as the password of HTTP Basic (RFC 7617), an application as a bearer (RFC 6750).
    """
    known = [key.encode() for key in keys]

    def check(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        if open_to_all:
            return
        given = _given(connection.headers.get("authorization", ""))
        if not sum(hmac.compare_digest(key, given) for key in known):  # a sum: every key is compared, always
            raise NotAuthorizedException(
                f"send a key of {setting} as «Authorization: Bearer KEY»",
                headers={"WWW-Authenticate": _challenge(connection.headers.get("accept", ""))},
            )

    return check


def _challenge(accept: str) -> str:
    """What an answer without a key asks for (RFC 9110, section 11.6.1).

    Chromium takes a header of two challenges for one of the first, so that it would never ask a person for the key:
    where a page is wanted, Basic stands alone.
    """
    basic = 'Basic realm="yellowbooks", charset="UTF-8"'
    return basic if "text/html" in accept else f"Bearer, {basic}"


def caller(connection: ASGIConnection[Any, Any, Any, Any]) -> tuple[str, bytes]:
    """The name that a caller gives himself (X-Operator, or the user of HTTP Basic; "" where none), and his key."""
    header = connection.headers.get("authorization", "")
    name = _text(connection.headers.get("x-operator", "")) or _user(header)
    return "".join(c for c in name if c.isprintable())[:NAME_LENGTH], _given(header)


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
    except binascii.Error:
        return ""


def _given(header: str) -> bytes:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).partition(b":")[2]
        except binascii.Error:
            return b""
    return b""
