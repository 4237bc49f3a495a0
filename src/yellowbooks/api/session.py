"""The cookie of a session, and what an act in it must bring besides."""

import hmac
from typing import Any
from urllib.parse import quote

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.exceptions import HTTPException, PermissionDeniedException

from yellowbooks.api.origin import READS

COOKIE = "__Host-yb_session"
"""A browser keeps a cookie of such a name only from https, or from this machine, for this host alone (RFC 6265bis,
section 4.1.3.2): no neighbour under the same domain can plant one."""
HEADER = "x-csrf-token"
FIELD = "csrf"
FORM = "form"
"""A route with this option takes a form: it looks at the field itself, as its guards come before the body."""
LOGIN = "/dashboard/login"


def session_cookie(token: str) -> Cookie:
    """The cookie of a session that began; with "" one that makes the browser forget it.

    Lax and not Strict: a link in an alert or a chat leads to the dashboard and not to the sign-in. What acts is no
    link, and brings a token.
    """
    age = None if token else 0
    return Cookie(key=COOKIE, value=token, path="/", secure=True, httponly=True, samesite="lax", max_age=age)


def csrf_of(token: str) -> str:
    """What an act in this session must bring: our pages have it, and no other page can read them."""
    return hmac.digest(token.encode(), b"yb csrf", "sha256").hex() if token else ""


def csrf_fits(token: str, given: str) -> bool:
    """Compared in constant time."""
    return bool(token) and hmac.compare_digest(csrf_of(token).encode(), given.encode())


def look_at_act(connection: ASGIConnection[Any, Any, Any, Any], token: str, *, form: bool) -> None:
    """Raises 403 for an act of a session without its token, or that does not say from which page it comes."""
    if connection.scope.get("method") in READS:
        return
    if not form and not csrf_fits(token, connection.headers.get(HEADER, "")):
        raise PermissionDeniedException(
            "an act of a signed-in browser needs the token of its page; load the page again. A program sends a key: "
            "«Authorization: Bearer KEY»"
        )
    if "origin" not in connection.headers and "sec-fetch-site" not in connection.headers:
        raise PermissionDeniedException("this act does not say from which page it comes; use a newer browser")


def to_sign_in(connection: ASGIConnection[Any, Any, Any, Any]) -> HTTPException:
    """The answer to a browser that wants a page and is not signed in."""
    query = connection.scope.get("query_string", b"").decode("latin-1")
    here = connection.scope["path"] + (f"?{query}" if query else "")
    return HTTPException(
        status_code=303, headers={"Location": f"{LOGIN}?back={quote(here)}", "Cache-Control": "no-store"}
    )
