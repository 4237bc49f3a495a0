"""The dead letter queue: list, show, group by cause, requeue one or many, discard."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, delete, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath, FromQuery, QueryParameter, RawBody, SkipValidation

from yellowbooks.api.audit import Audit, Plan
from yellowbooks.api.filter import Filter, chosen_jobs, counted, milliseconds
from yellowbooks.api.operation import NOT_BLANK, described, schema_of
from yellowbooks.jobs import Fault, Invalid, Job, Queue, State, Wanted, causes, page_of
from yellowbooks.views import dead_view, job_view, time

PAGE = 100
CURSOR = re.compile("^[0-9]{0,20}$")
Reason = Annotated[str, QueryParameter(max_length=500)]
NARROWING = [
    *((name, [None, ""]) for name in ("error", "cause")),
    *((name, [None]) for name in ("causeIs", "kind", "release", "diedAfter", "diedBefore", "ids")),
]
"""What narrows a filter, and what does not though it is there."""
PLANNED = {"show-act": ("act_id", "actId"), "undo-act": ("act_id", "actId")}  # with a delay
FILTER = schema_of(Filter)
DISCARD = FILTER | {
    "allOf": [
        {"anyOf": [{"required": [name], "properties": {name: {"not": {"enum": empty}}}} for name, empty in NARROWING]},
        {
            "anyOf": [
                {"required": ["reason"], "properties": {"reason": {"pattern": NOT_BLANK}}},
                {"required": ["preview"], "properties": {"preview": {"const": True}}},
            ]
        },
    ]
}


async def _page(queue: Queue, limit: int, cursor: str | None, wanted: Wanted) -> dict[str, Any]:
    if cursor is not None and not CURSOR.fullmatch(cursor):
        raise Invalid([Fault("cursor", "is none that an earlier page gave; leave it out to begin again")])
    try:
        jobs, following, total = await page_of(queue, limit, cursor, wanted)
    except ValueError:
        raise Invalid([Fault("cursor", "is none that an earlier page gave; leave it out to begin again")]) from None
    return {"count": total, "jobs": [_row(job) for job in jobs], "nextCursor": following}


def _row(job: Job) -> dict[str, Any]:
    failed = job.failed
    return job_view(job) | {
        "cause": failed.cause if failed else None,
        "release": failed.release if failed else None,
        "diedAt": time(job.ended),
    }


class DeadLetters(Controller):
    """What an operator does with dead jobs."""

    path = "/api/admin/dlq"

    @get("/", summary="List dead jobs, newest first", operation_id="list-dead")
    async def list_dead(
        self,
        queue: NamedDependency[Queue],
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE)] = 50,
        cursor: Annotated[str | None, QueryParameter(schema_extra={"pattern": CURSOR.pattern})] = None,
        error: FromQuery[str | None] = None,
        cause: FromQuery[str | None] = None,
        cause_is: Annotated[str | None, QueryParameter(name="causeIs")] = None,
        kind: FromQuery[str | None] = None,
        release: FromQuery[str | None] = None,
    ) -> dict[str, Any]:
        """`count` is how many there are (that the filter means); `nextCursor` leads on."""
        wanted = Wanted(error=error or None, cause=cause or None, cause_is=cause_is, kind=kind or None, release=release)
        return await _page(queue, limit, cursor, wanted)

    @get("/causes", summary="What jobs died of, the most frequent first", operation_id="list-causes")
    async def list_causes(self, queue: NamedDependency[Queue]) -> dict[str, Any]:
        """Dead jobs by kind, cause and the release that failed, with when the newest of each died."""
        found = [
            cause.fingerprint._asdict() | {"count": cause.count, "newest": time(cause.newest)}
            for cause in await causes(queue)
        ]
        return {"causes": found}

    @get("/{job_id:str}", summary="Show one dead job", operation_id="show-dead")
    async def show_dead(self, queue: NamedDependency[Queue], job_id: FromPath[str]) -> dict[str, Any]:
        """With the cause, the release that failed, and where in the code each attempt did."""
        return dead_view(await dead_job(queue, job_id))

    @post(
        "/retry",
        status_code=202,
        summary="Requeue many dead jobs",
        operation_id="requeue-many",
        operation_class=described(FILTER, required=False, leads=PLANNED),
    )
    async def requeue_many(
        self,
        request: Request[Any, Any, Any],
        queue: NamedDependency[Queue],
        audit: NamedDependency[SkipValidation[Audit]],
        plan: NamedDependency[SkipValidation[Plan | None]],
        body: RawBody,
        error: FromQuery[str | None] = None,
    ) -> dict[str, Any]:
        """The filter is a JSON object, or `?error=`; without one, every dead job is requeued."""
        chosen = _filter(body, error)
        if chosen.preview or chosen.delay:
            return await _before_it(request, "retry", chosen, await counted(queue, chosen), plan)
        jobs = await chosen_jobs(queue, chosen)
        by = await audit(request, "retry", chosen.text(), after={"count": len(jobs)}, reason=chosen.reason)
        answers = await queue.requeue([job.id for job in jobs], pace=chosen.pace, by=by)
        return {"requeued": answers.count("requeued")}

    @post(
        "/discard",
        status_code=202,
        summary="Discard many dead jobs",
        operation_id="discard-many",
        operation_class=described(DISCARD, leads=PLANNED),
    )
    async def discard_many(
        self,
        request: Request[Any, Any, Any],
        queue: NamedDependency[Queue],
        audit: NamedDependency[SkipValidation[Audit]],
        plan: NamedDependency[SkipValidation[Plan | None]],
        body: RawBody,
    ) -> dict[str, Any]:
        """The filter is a JSON object with a `reason`; `{}` would mean every dead job, so something must be given."""
        chosen = _filter(body, None)
        _narrow(chosen)
        if chosen.preview or chosen.delay:
            return await _before_it(request, "discard", chosen, await counted(queue, chosen), plan)
        jobs = await chosen_jobs(queue, chosen)
        await audit(request, "discard", chosen.text(), after={"count": len(jobs)}, reason=chosen.reason)
        answers = await queue.discard([job.id for job in jobs])
        return {"discarded": answers.count("discarded")}

    @post("/{job_id:str}/retry", status_code=200, summary="Requeue one dead job", operation_id="requeue-one")
    async def requeue_one(
        self,
        request: Request[Any, Any, Any],
        queue: NamedDependency[Queue],
        audit: NamedDependency[SkipValidation[Audit]],
        job_id: FromPath[str],
        reason: Reason = "",
    ) -> dict[str, Any]:
        """The job gets all its attempts again."""
        before = _before(await dead_job(queue, job_id))
        by = await audit(request, "retry", job_id, before=before, after={"status": "enqueued"}, reason=reason)
        _expect((await queue.requeue([job_id], by=by))[0], "requeued", job_id)
        return {"jobId": job_id, "status": "enqueued"}

    @delete("/{job_id:str}", status_code=200, summary="Discard one dead job", operation_id="discard-one")
    async def discard_one(
        self,
        request: Request[Any, Any, Any],
        queue: NamedDependency[Queue],
        audit: NamedDependency[SkipValidation[Audit]],
        job_id: FromPath[str],
        reason: Reason = "",
    ) -> dict[str, Any]:
        """Its payload is dropped; its record stays for the retention."""
        before = _before(await dead_job(queue, job_id))
        await audit(request, "discard", job_id, before=before, after={"status": "cancelled"}, reason=reason)
        _expect((await queue.discard([job_id]))[0], "discarded", job_id)
        return {"jobId": job_id, "status": "cancelled"}


async def dead_job(queue: Queue, job_id: str) -> Job:
    """A job that is dead. Raises HTTP 404, and 409 where it is not dead."""
    job = await queue.show(job_id)
    _expect("unknown" if job is None else job.state, State.DEAD, job_id)
    if job is None:
        raise NotFoundException(f"no job has the id {job_id[:128]}")
    return job


async def _before_it(
    request: Request[Any, Any, Any], act: str, chosen: Filter, counted: tuple[int, int], plan: Plan | None
) -> dict[str, Any]:
    """What a filter means, bounded to what died until now; and with a delay, the act that is to come."""
    count, newest = counted
    until = milliseconds("diedBefore", chosen.died_before) or newest + 1
    if chosen.preview:
        return {"count": count, "diedBefore": time(until)}
    if plan is None:
        raise HTTPException("this API takes no act in for later; send it without «delay»", status_code=503)
    bound = datetime.fromtimestamp(until / 1000, UTC)
    return await plan(request, act, msgspec.structs.replace(chosen, died_before=bound), count)


def _narrow(chosen: Filter) -> None:
    """What is discarded is lost, so it needs a reason and a filter."""
    faults = []
    if not chosen.preview and not chosen.reason.strip():
        faults.append(Fault("reason", "is required: what is discarded is lost; say why"))
    rest = {"preview": False, "delay": None, "reason": "", "pace": None, "limit": None}
    if msgspec.structs.replace(chosen, **rest, error=chosen.error or None, cause=chosen.cause or None) == Filter():
        faults.append(Fault("body", 'means every dead job; narrow it, such as {"cause": "mx.example:rcpt:550"}'))
    if faults:
        raise Invalid(faults)


def _before(job: Job) -> dict[str, Any]:
    return {"status": job.state, "attempts": job.attempts, "cause": job.cause, "error": job.error}


def _filter(body: bytes, error: str | None) -> Filter:
    try:
        chosen = msgspec.json.decode(body if body.strip() else b"{}", type=Filter)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise Invalid([Fault("body", f'is no filter ({fault}); send {{}} or {{"error": "text"}}')]) from None
    return msgspec.structs.replace(chosen, error=chosen.error or error)


def _expect(answer: str, wanted: str, job_id: str) -> None:
    if answer == "unknown":
        raise NotFoundException(f"no job has the id {job_id[:128]}")
    if answer != wanted:
        raise HTTPException("this job is not dead; GET /api/jobs/{jobId} says where it stands", status_code=409)
