"""`/metrics`: for Prometheus on this machine, or with a key."""

import ipaddress
from collections.abc import Awaitable
from typing import Any, Protocol

from litestar import Request, Response, get
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.handlers.http_handlers import HTTPRouteHandler

from yellowbooks.api.keys import Guard
from yellowbooks.api.operation import described

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
CONTENT_TYPES = {
    False: "text/plain; version=0.0.4; charset=utf-8",
    True: "application/openmetrics-text; version=1.0.0; charset=utf-8",
}


class MetricsPage(Protocol):
    """Makes the text of the page."""

    def __call__(self, *, openmetrics: bool) -> Awaitable[str]:
        """In OpenMetrics, or in the older text format."""
        ...


def metrics_route(page: MetricsPage, guard: Guard) -> HTTPRouteHandler:
    """`GET /metrics`: open to this machine; from elsewhere, or through a proxy, `guard` asks for a key."""

    async def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        if not _is_local(connection):
            await guard(connection, handler)

    @get(
        "/metrics", guards=[check], summary="Numbers, as Prometheus reads them", operation_id="metrics",
        operation_class=described(gives=tuple(CONTENT_TYPES.values())),
    )  # fmt: skip
    async def metrics(request: Request[Any, Any, Any]) -> Response[str]:
        openmetrics = "application/openmetrics-text" in request.headers.get("accept", "")
        text = await page(openmetrics=openmetrics)
        return Response(text, headers={"Content-Type": CONTENT_TYPES[openmetrics], "Cache-Control": "no-store"})

    return metrics


def _is_local(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    if any(name in connection.headers for name in FORWARDED) or not connection.client:
        return False
    try:
        return ipaddress.ip_address(connection.client.host).is_loopback
    except ValueError:
        return False
