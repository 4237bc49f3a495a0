"""A browser acts for its operator only where our own page asked it to."""

from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler

READS = ("GET", "HEAD", "OPTIONS")
OWN = ("same-origin", "none")  # none: the operator's own doing, such as a bookmark


def own_page(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Raises 403 for an act that another site's page makes the operator's browser send.

    A browser adds the key of HTTP Basic, or reaches an API without keys, whoever wrote the page. It also says from
    where the request came: Sec-Fetch-Site (Fetch Metadata) to https and loopback addresses, else Origin (RFC 6454,
    section 7). A program sends neither and passes: what it sends, it sends on purpose.
    """
    if connection.scope.get("method") in READS:
        return
    site, origin = connection.headers.get("sec-fetch-site"), connection.headers.get("origin")
    if site in OWN if site else not origin or urlsplit(origin).netloc == connection.headers.get("host"):
        return
    raise PermissionDeniedException(
        "this act was asked for by the page of another site; do it in the dashboard, or send it without a browser. "
        "Behind a proxy: pass the Host header on as it came"
    )
