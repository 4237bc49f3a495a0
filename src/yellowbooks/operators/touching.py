"""What an operator does with one job: see what is personal, see its mail, cancel it, give it another payload."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import msgspec
from litestar import Request, Response, get, patch, post
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath, FromQuery, QueryParameter, RawBody

from yellowbooks.api import NOT_BLANK, dead_job, described, schema_of
from yellowbooks.jobs import Fault, Invalid, Job, Kind
from yellowbooks.operators.audit import Trail
from yellowbooks.operators.desk import Desk, Rendered, masked
from yellowbooks.operators.page import kept_mail

if TYPE_CHECKING:
    from yellowbooks.joblog import JobLog

# A mail is shown as a stranger's page: no script, no request, no origin.
MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
GONE = "the payload was dropped when the job ended, so there is nothing to show"
REASON_LENGTH = 500

S = TypeVar("S")
# Neither blank nor with a NUL, which no database takes.
Reason = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=REASON_LENGTH, extra_json_schema={"pattern": rf"^[^\x00]*{NOT_BLANK}[^\x00]*$"}
    ),
]


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an act: why it is done."""

    reason: Reason


WITH_WHY = described(schema_of(Why))  # an operation whose body says why


class NewPayload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an edit."""

    payload: msgspec.Raw
    reason: Reason


def read_body(body: bytes, kind: type[S], example: str) -> S:
    """A JSON body. Raises `Invalid`, with a right example."""
    try:
        found = msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        field = "reason" if "reason" in str(error) else "body"
        raise Invalid([Fault(field, f"{error}; send {example}")]) from None
    if not getattr(found, "reason", "x").strip():
        raise Invalid([Fault("reason", "is empty; say why")])
    return found


def touching_routes(desk: Desk, trail: Trail) -> list[Any]:
    """Reveal, mail, cancel and edit."""
    return [*_seeing(desk, trail), _cancel_route(desk, trail), _edit_route(desk, trail)]


def _seeing(desk: Desk, trail: Trail) -> list[Any]:
    @post(
        "/api/admin/jobs/{job_id:str}/reveal",
        status_code=200,
        summary="Show the payload",
        operation_id="reveal",
        operation_class=WITH_WHY,
    )
    async def reveal(request: Request[Any, Any, Any], job_id: FromPath[str], body: RawBody) -> Response[dict[str, Any]]:
        """As it came, with what is personal; who asked, and why, stands in the trail."""
        why = read_body(body, Why, '{"reason": "…"}')
        _, payload = await _held(desk, job_id)
        await trail(request, "reveal", job_id, reason=why.reason)
        return Response({"payload": msgspec.to_builtins(payload)}, headers={"Cache-Control": "no-store"})

    @get(
        "/api/admin/jobs/{job_id:str}/mail",
        summary="Show the mail of a job",
        operation_id="job-mail",
        operation_class=described(gives=("text/html; charset=utf-8", "text/plain; charset=utf-8")),
    )
    async def show_mail(
        request: Request[Any, Any, Any],
        job_id: FromPath[str],
        form: FromQuery[Literal["html", "text"]] = "html",
        reason: Annotated[str, QueryParameter(max_length=REASON_LENGTH)] = "",
    ) -> Response[str]:
        """As its reader sees it; that it was looked at stands in the trail."""
        mail = await _mail(desk, job_id)
        await trail(request, "mail", job_id, after={"form": form}, reason=reason)
        headers = {
            "Content-Security-Policy": MAIL_POLICY, "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
        }  # fmt: skip
        content, media = (mail.html, "text/html") if form == "html" else (mail.text, "text/plain")
        return Response(content, media_type=media, headers=headers)

    return [reveal, show_mail]


def _cancel_route(desk: Desk, trail: Trail) -> Any:
    @post(
        "/api/admin/jobs/{job_id:str}/cancel", status_code=200, summary="Cancel a job", operation_id="cancel",
        operation_class=WITH_WHY,
    )  # fmt: skip
    async def cancel(request: Request[Any, Any, Any], job_id: FromPath[str], body: RawBody) -> dict[str, Any]:
        """One that waits or runs; one that is past the point of no return goes on (409)."""
        why = read_body(body, Why, '{"reason": "…"}')
        job = await _known(desk, job_id)
        if job.ended is not None:
            raise HTTPException(f"this job is {job.state}; there is nothing to cancel", status_code=409)
        before = {"status": job.state, "attempts": job.attempts}
        await trail(request, "cancel", job_id, before=before, after={"status": "cancelled"}, reason=why.reason)
        [answer] = await desk.queue.cancel([job_id])
        if answer != "cancelled":
            late = "it is past the point of no return" if answer == "committed" else "it ended in this moment"
            await trail(request, "cancel-failed", job_id, after={"answer": answer})
            raise HTTPException(f"{late}; GET /api/admin/jobs/{{jobId}} says where it stands", status_code=409)
        return {"jobId": job_id, "status": "cancelled"}

    return cancel


def _edit_route(desk: Desk, trail: Trail) -> Any:
    @patch(
        "/api/admin/dlq/{job_id:str}", summary="Give a dead job another payload", operation_id="edit-dead",
        operation_class=described(_edit_schema(desk)),
    )  # fmt: skip
    async def edit(request: Request[Any, Any, Any], job_id: FromPath[str], body: RawBody) -> dict[str, Any]:
        """Checked as the POST of its kind checks it; then requeue the job. The trail has both, masked."""
        asked = read_body(body, NewPayload, '{"payload": {…}, "reason": "…"}')
        await dead_job(desk.queue, job_id)
        kind, before = await _held(desk, job_id)
        after = kind.parse(bytes(asked.payload))
        if after.job_id not in (None, job_id):
            raise Invalid([Fault("payload.jobId", "is another job's; leave it out")])
        _refuse_masked(kind, before, after)
        by = await trail(
            request, "edit", job_id, before=masked(kind, before),
            after=masked(kind, after) | {"changed": _changed(before, after)}, reason=asked.reason,
        )  # fmt: skip
        answer = await desk.queue.edit(kind, job_id, after, by=by)
        if answer != "edited":
            raise HTTPException("this job is not dead any more; look at it again", status_code=409)
        return {"jobId": job_id, "status": "dead"}

    return edit


def _edit_schema(desk: Desk) -> dict[str, Any]:
    """Its payload is that of the job's kind."""
    schema = schema_of(NewPayload)
    payloads = {"anyOf": [{"$ref": f"#/components/schemas/{kind.payload.__name__}"} for kind in desk.kinds.values()]}
    return schema | {"properties": schema["properties"] | {"payload": payloads}}


async def _known(desk: Desk, job_id: str) -> Job:
    job = await desk.queue.show(job_id)
    if job is None:
        raise NotFoundException(f"the queue has no job of the id {job_id[:128]}; it never came, or left")
    return job


async def _held(desk: Desk, job_id: str) -> tuple[Kind[Any], Any]:
    await desk.queue.stored([job_id])  # says so where the queue is away
    held = (await desk.payloads([job_id])).get(job_id)
    if held is None:
        raise NotFoundException(f"no job has the id {job_id[:128]}, or {GONE}")
    return held


async def _mail(desk: Desk, job_id: str) -> Rendered:
    job = await _known_anywhere(desk, job_id)
    held = (await desk.payloads([job_id])).get(job_id)
    mail = await asyncio.to_thread(desk.mails.write, job_id, job.created, held[1]) if held else None
    mail = mail or await kept_mail(desk, job)
    if mail is None:
        raise NotFoundException("this job has no mail" if held else GONE)
    return mail


async def _known_anywhere(desk: Desk, job_id: str) -> Job:
    def look(log: "JobLog") -> Job | None:
        return log.find(job_id)

    job = await desk.ask(look) or await desk.queue.show(job_id)  # the log's first: it has the server's words
    if job is None:
        raise NotFoundException(f"no job has the id {job_id[:128]}")
    return job


def _changed(before: Any, after: Any) -> list[str]:
    old, new = msgspec.to_builtins(before), msgspec.to_builtins(after)
    return sorted(name for name in old.keys() | new.keys() if name != "jobId" and old.get(name) != new.get(name))


def _refuse_masked(kind: Kind[Any], before: Any, after: Any) -> None:
    """What was masked and comes back so would be stored masked."""
    old, new, shown = msgspec.to_builtins(before), msgspec.to_builtins(after), masked(kind, before)
    masks = [name for name in new if new[name] == shown.get(name) and new[name] != old.get(name)]
    if masks:
        raise Invalid([Fault(name, "is the masked value; reveal the payload and edit that") for name in sorted(masks)])
