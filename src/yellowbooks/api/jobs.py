"""Enqueue a job and follow it; every kind gets its POST from its payload type."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, RawBody
from litestar.types import Message, Scope

from yellowbooks.api.keys import ENQUEUE, Guard, caller_of
from yellowbooks.api.problems import problem, retry_after
from yellowbooks.api.signed import prove
from yellowbooks.intake import Intake
from yellowbooks.jobs import REQUEST_NAME, Fault, Invalid, Job, Kind, Queue, QueueUnavailable, Receipt
from yellowbooks.views import job_view

Find = Callable[[str], Awaitable[Job | None]]
"""Looks a job up in the job log; raises `ConnectionError` where the log is away."""

Refuse = Callable[[str, str], None]
"""Hears of a request that made no job: the kind, and why in one word."""

Trace = Callable[[str, Mapping[str, str]], AbstractContextManager[tuple[bytes, Callable[[int, str], None]]]]
"""Begins the span of a request from its kind and headers: what goes with the job, and what hears of the answer."""

FULL_RETRY_MS = 30_000
WORDS = {"seen": "duplicate", "limited": "limited", "full": "full"}
STATUS_WORDS = {
    400: "invalid",
    401: "unauthorized",
    403: "unauthorized",
    503: "unavailable",
    413: "too_large",
    500: "failed",
}
REQUEST = "x-request-id"
ENQUEUED = {"status": "enqueued"}


def request_name(given: str | None) -> str:
    """The caller's X-Request-Id, or a new one where he sent none that is up to 64 letters, digits and . _ : / + = -."""
    return given if given is not None and REQUEST_NAME.fullmatch(given) else secrets.token_hex(8)


async def answer_request_name(message: Message, scope: Scope) -> None:
    """Put the request's name into the answer, whatever that is."""
    if message["type"] == "http.response.start" and (name := scope["state"].get(REQUEST)):
        message["headers"] = [*message.get("headers", ()), (REQUEST.encode(), name.encode())]


def enqueue_route(
    kind: Kind[Any], intake: Intake, find: Find, guard: Guard, refuse: Refuse, more: Mapping[str, str] | None = None,
    trace: Trace | None = None,
) -> HTTPRouteHandler:  # fmt: skip
    """`POST /api/jobs/<kind>`; its 202 also says `more`."""
    taken = ENQUEUED | dict(more or {})

    async def take(request: Request[Any, Any, Any], body: bytes, carried: bytes) -> Response[dict[str, Any]]:
        name = request.scope["state"][REQUEST] = request_name(request.headers.get(REQUEST))
        try:
            if request.content_type[0] != "application/json":
                raise Invalid([Fault("body", "is not sent as JSON; set the header «Content-Type: application/json»")])
            own_id = await prove(request, body)
            payload = kind.parse(body)
            payload.job_id = payload.job_id or own_id
            job_id, receipt = await intake.admit(kind, payload, request=name, trace=carried)
        except (Invalid, QueueUnavailable) as error:
            refuse(kind.name, "invalid" if isinstance(error, Invalid) else "unavailable")
            raise
        if receipt.word != "admitted":
            refuse(kind.name, WORDS[receipt.word])
        return await _answer(job_id, receipt, find, taken)

    @post(
        f"/api/jobs/{kind.name}",
        name=kind.name,
        status_code=202,
        guards=[guard],
        summary=f"Enqueue one {kind.name}",
        operation_id=f"{ENQUEUE}{kind.name}",
    )
    async def enqueue(request: Request[Any, Any, Any], body: RawBody) -> Response[dict[str, Any]]:
        if trace is None:
            return await take(request, body, b"")
        with trace(kind.name, request.headers) as (carried, answered):
            response = await take(request, body, carried)
            answered(response.status_code or 202, response.headers.get("Location", ""))
            return response

    return enqueue


def counted(handle: Callable[[Any, Any], Any], refuse: Refuse) -> Callable[[Any, Any], Any]:
    """Answers an error as `handle` does; one that an enqueue ended with is counted too, whatever refused it."""

    def handle_and_count(request: Request[Any, Any, Any], error: Exception) -> Any:
        response = handle(request, error)
        route = request.scope.get("route_handler")
        if isinstance(route, HTTPRouteHandler) and str(route.operation_id).startswith(ENQUEUE):
            refuse(str(route.name), STATUS_WORDS.get(response.status_code, "failed"))
        return response

    return handle_and_count


async def _answer(
    job_id: str, receipt: Receipt, find: Find, taken: Mapping[str, str] = ENQUEUED
) -> Response[dict[str, Any]]:
    location = {"Location": f"/api/jobs/{job_id}"}
    if receipt.word == "admitted":
        return Response({"jobId": job_id, **taken}, status_code=202, headers=location)
    if receipt.word == "limited":
        wait = retry_after(receipt.wait)
        seconds = int(wait["Retry-After"])
        detail = f"too many jobs for this user; send it again in {seconds} s"
        return problem(429, detail, headers=wait, retryAfter=seconds)
    if receipt.word == "full":
        return problem(503, "too many jobs are waiting; start more workers", headers=retry_after(FULL_RETRY_MS))
    if receipt.first:
        job_id = receipt.first
        detail = "a job of the same key came a short while ago; this one is not needed"
    else:
        same = "it was the same request" if receipt.same else "it was another one"
        detail = f"a job with this jobId came before; {same}"
    first = None if receipt.state else await _logged(find, job_id)
    return problem(
        409,
        detail,
        headers={"Location": f"/api/jobs/{job_id}"},
        jobId=job_id,
        status=receipt.state or (first.state if first else "completed"),
        sameRequest=receipt.same,
    )


async def _logged(find: Find, job_id: str) -> Job | None:
    try:
        return await find(job_id)
    except ConnectionError as error:
        raise QueueUnavailable(str(error)) from error


def follow_route(queue: Queue, intake: Intake, find: Find, guard: Guard) -> HTTPRouteHandler:
    """`GET /api/jobs/{jobId}`."""

    @get("/api/jobs/{job_id:str}", name="job", guards=[guard], summary="Follow one job", operation_id="follow-job")
    async def follow(request: Request[Any, Any, Any], job_id: FromPath[str]) -> dict[str, Any]:
        """From the queue while it is there, then from the job log; from the disk where the queue is away. What is of a
        kind that the caller's key does not have is not there for him."""
        job = intake.find(job_id) or await _found(queue, find, job_id)
        if job is None or not caller_of(request).may(job.kind):
            raise NotFoundException(f"no job has the id {job_id[:128]}")
        return job_view(job)

    return follow


async def _found(queue: Queue, find: Find, job_id: str) -> Job | None:
    """Raises `QueueUnavailable` where the queue is away and the job log has no such job."""
    try:
        job = await queue.show(job_id)
    except QueueUnavailable:
        if logged := await _logged(find, job_id):
            return logged
        raise
    return job or await _logged(find, job_id)
