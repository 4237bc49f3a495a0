"""Every error of the API as problem details (RFC 9457), with `error` beside them for simple clients."""

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from yellowbooks.jobs import Fault, Invalid, QueueUnavailable, trace_of

QUEUE_RETRY_SECONDS = 5


def problem(
    status: int, detail: str, /, *, headers: Mapping[str, str] | None = None, **members: Any
) -> Response[dict[str, Any]]:
    """One error. `detail` says what is wrong and what to do next; further members are the caller's."""
    title = HTTPStatus(status).phrase
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, "error": detail, **members}
    return Response(
        content, status_code=status, media_type="application/problem+json", headers=dict(headers) if headers else None
    )


def invalid(_request: Request[Any, Any, Any], error: Invalid) -> Response[dict[str, Any]]:
    """400 that names each field and why."""
    return problem(400, str(error), errors=[{"field": fault.field, "why": fault.why} for fault in error.faults])


def unavailable(_request: Request[Any, Any, Any], _error: QueueUnavailable) -> Response[dict[str, Any]]:
    """503: nothing durable can take the job now."""
    return problem(
        503,
        f"the queue is away; send the request again in {QUEUE_RETRY_SECONDS} s",
        headers={"Retry-After": str(QUEUE_RETRY_SECONDS)},
    )


def refused(request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """What the framework refuses: 404, 405, 413 and the like."""
    headers = {key: value for key, value in (error.headers or {}).items() if key.lower() != "content-type"}
    if 300 <= error.status_code < 400:
        return Response({}, status_code=error.status_code, headers=headers)
    details = {
        404: "there is nothing at this path; /schema lists the paths",
        405: "this path does not take that method; /schema lists the methods",
        413: "the body is over 64 KiB (a delivery report or a webhook: 1 MiB); send less",
    }
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        faults = [Fault(str(one.get("key", "query")), f"is wrong: {one.get('message', '')}") for one in error.extra]
        return invalid(request, Invalid(faults))
    ours = error.detail and error.detail != HTTPStatus(error.status_code).phrase
    keep = ours and error.status_code != 413
    detail = error.detail if keep else details.get(error.status_code, error.detail)
    return problem(error.status_code, detail, headers=headers)


def crashed(tell: Callable[..., None]) -> Callable[[Request[Any, Any, Any], Exception], Response[dict[str, Any]]]:
    """500, told to the operator, with where in the code it was; its words may hold what the caller sent, and are not.

    The caller learns nothing of the inside.
    """

    def handle(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
        tell("failed", method=request.method, path=request.url.path, error=type(error).__name__, trace=trace_of(error))
        return problem(500, "this is our fault, not yours; the log says more; send the request again")

    return handle


def retry_after(milliseconds: float) -> dict[str, str]:
    """A Retry-After header (RFC 9110, 10.2.3): whole seconds, rounded up."""
    return {"Retry-After": str(max(1, math.ceil(milliseconds / 1000)))}
