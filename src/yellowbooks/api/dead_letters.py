"""The dead letter queue: list, show, group by cause, requeue one or many, discard."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath, FromQuery, QueryParameter, RawBody

from yellowbooks.jobs import Fault, Invalid, Job, Queue, State, Wanted, causes, find
from yellowbooks.views import dead_view, job_view, time

PAGE = 100


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which dead jobs: all of what is given, the newest `limit` of them.

    `error` is a part of the error (any case), `cause` the beginning of a cause. They run again at `pace` jobs a second,
    or at once. With `preview` nothing moves: the answer has the count and a `diedBefore`, and the same filter with that
    moment in it moves what was counted and nothing that died since.
    """

    error: str | None = None
    cause: str | None = None
    kind: str | None = None
    release: str | None = None
    died_after: datetime | None = None
    died_before: datetime | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    pace: Annotated[float, msgspec.Meta(gt=0)] | None = None
    preview: bool = False

    def wanted(self) -> Wanted:
        """The filter as the engine has it. Raises `Invalid` where a time has no offset."""
        return Wanted(
            kind=self.kind,
            cause=self.cause,
            error=self.error,
            release=self.release,
            died_after=_milliseconds("diedAfter", self.died_after),
            died_before=_milliseconds("diedBefore", self.died_before),
        )


async def _page(queue: Queue, limit: int, cursor: str | None, error: str | None) -> dict[str, Any]:
    try:
        jobs, following, total = await queue.dead(limit, cursor)
        if error:
            found = [job async for job in find(queue, Wanted(error=error), cursor)]
            jobs, following, total = found[:limit], None, len(found)
    except ValueError:
        raise Invalid([Fault("cursor", "is none that an earlier page gave; leave it out to begin again")]) from None
    return {"count": total, "jobs": [job_view(job) for job in jobs], "nextCursor": following}


class DeadLetters(Controller):
    """What an operator does with dead jobs."""

    path = "/api/admin/dlq"

    @get("/", summary="List dead jobs, newest first", operation_id="list-dead")
    async def list_dead(
        self,
        queue: NamedDependency[Queue],
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE)] = 50,
        cursor: FromQuery[str | None] = None,
        error: FromQuery[str | None] = None,
    ) -> dict[str, Any]:
        """`count` is how many there are (with `error`: whose error holds it); `nextCursor` leads on."""
        return await _page(queue, limit, cursor, error)

    @get("/causes", summary="What jobs died of, the most frequent first", operation_id="list-causes")
    async def list_causes(self, queue: NamedDependency[Queue]) -> dict[str, Any]:
        """Dead jobs by kind, cause and the release that failed."""
        found = await causes(queue)
        return {"causes": [fingerprint._asdict() | {"count": count} for fingerprint, count in found]}

    @get("/{job_id:str}", summary="Show one dead job", operation_id="show-dead")
    async def show_dead(self, queue: NamedDependency[Queue], job_id: FromPath[str]) -> dict[str, Any]:
        """With the cause, the release that failed, and where in the code each attempt did."""
        job = await queue.show(job_id)
        if job is None:
            raise NotFoundException(f"no job has the id {job_id[:128]}")
        if job.state is not State.DEAD:
            raise HTTPException("this job is not dead; GET /api/jobs/{jobId} says where it stands", status_code=409)
        return dead_view(job)

    @post("/retry", status_code=202, summary="Requeue many dead jobs", operation_id="requeue-many")
    async def requeue_many(
        self, queue: NamedDependency[Queue], body: RawBody, error: FromQuery[str | None] = None
    ) -> dict[str, Any]:
        """The filter is a JSON object, or `?error=`; without one, every dead job is requeued."""
        chosen = _filter(body, error)
        wanted, jobs = chosen.wanted(), list[Job]()
        async for job in find(queue, wanted):
            if chosen.limit is not None and len(jobs) >= chosen.limit:
                break
            jobs.append(job)
        if chosen.preview:
            until = wanted.died_before or 1 + max((job.ended or 0 for job in jobs), default=0)
            return {"count": len(jobs), "diedBefore": time(until)}
        answers = await queue.requeue([job.id for job in jobs], pace=chosen.pace)
        return {"requeued": answers.count("requeued")}

    @post("/{job_id:str}/retry", status_code=200, summary="Requeue one dead job", operation_id="requeue-one")
    async def requeue_one(self, queue: NamedDependency[Queue], job_id: FromPath[str]) -> dict[str, Any]:
        """The job gets all its attempts again."""
        _expect((await queue.requeue([job_id]))[0], "requeued", job_id)
        return {"jobId": job_id, "status": "enqueued"}

    @delete("/{job_id:str}", status_code=200, summary="Discard one dead job", operation_id="discard-one")
    async def discard_one(self, queue: NamedDependency[Queue], job_id: FromPath[str]) -> dict[str, Any]:
        """Its payload is dropped; its record stays for the retention."""
        _expect((await queue.discard([job_id]))[0], "discarded", job_id)
        return {"jobId": job_id, "status": "cancelled"}


def _filter(body: bytes, error: str | None) -> Filter:
    try:
        chosen = msgspec.json.decode(body if body.strip() else b"{}", type=Filter)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as fault:
        raise Invalid([Fault("body", f'is no filter ({fault}); send {{}} or {{"error": "text"}}')]) from None
    return msgspec.structs.replace(chosen, error=chosen.error or error)


def _milliseconds(field: str, moment: datetime | None) -> int | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise Invalid([Fault(field, "has no offset; send one such as 2025-12-18T23:00:00Z")])
    return round(moment.timestamp() * 1000)


def _expect(answer: str, wanted: str, job_id: str) -> None:
    if answer == "unknown":
        raise NotFoundException(f"no job has the id {job_id[:128]}")
    if answer != wanted:
        raise HTTPException("this job is not dead; GET /api/jobs/{jobId} says where it stands", status_code=409)
