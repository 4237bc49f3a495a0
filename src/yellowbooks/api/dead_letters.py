"""The dead letter queue: list, requeue one or many, discard."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from litestar import Controller, delete, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath, FromQuery, QueryParameter, RawBody

from yellowbooks.api.views import job_view
from yellowbooks.jobs import Fault, Invalid, Job, Queue

PAGE = 100


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead jobs: those whose error holds `error` (any case), at most `limit` of them."""

    error: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None


async def _matching(
    queue: Queue, error: str | None, cursor: str | None = None
) -> AsyncIterator[tuple[Job, str | None]]:
    """Dead jobs, newest first, each with the cursor of the page after its own."""
    while True:
        jobs, cursor, _ = await queue.dead(PAGE, cursor)
        for job in jobs:
            if not error or error.lower() in (job.error or "").lower():
                yield job, cursor
        if cursor is None:
            return


async def _page(queue: Queue, limit: int, cursor: str | None, error: str | None) -> dict[str, Any]:
    try:
        jobs, following, total = await queue.dead(limit, cursor)
    except ValueError:
        raise Invalid([Fault("cursor", "is none that an earlier page gave; leave it out to begin again")]) from None
    if error:
        found = [job async for job, _ in _matching(queue, error, cursor)]
        jobs, following, total = found[:limit], None, len(found)
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

    @post("/retry", status_code=202, summary="Requeue many dead jobs", operation_id="requeue-many")
    async def requeue_many(
        self, queue: NamedDependency[Queue], body: RawBody, error: FromQuery[str | None] = None
    ) -> dict[str, Any]:
        """The filter is a JSON object, or `?error=`; without one, every dead job is requeued."""
        chosen = _filter(body)
        wanted = chosen.error or error
        ids: list[str] = []
        async for job, _ in _matching(queue, wanted):
            if chosen.limit is not None and len(ids) >= chosen.limit:
                break
            ids.append(job.id)
        answers = await queue.requeue(ids)
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


def _filter(body: bytes) -> Filter:
    if not body.strip():
        return Filter()
    try:
        return msgspec.json.decode(body, type=Filter)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid([Fault("body", f'is no filter ({error}); send {{}} or {{"error": "text"}}')]) from None


def _expect(answer: str, wanted: str, job_id: str) -> None:
    if answer == "unknown":
        raise NotFoundException(f"no job has the id {job_id[:128]}")
    if answer != wanted:
        raise HTTPException("this job is not dead; GET /api/jobs/{jobId} says where it stands", status_code=409)
