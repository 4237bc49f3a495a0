"""Lists of jobs and the search: which jobs are there, and did this person get the mail?"""

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import get
from litestar.exceptions import HTTPException
from litestar.params import FromQuery, QueryParameter

from yellowbooks.api import NOT_BLANK
from yellowbooks.jobs import JOB_ID, Fault, Invalid, Job, QueueUnavailable, State
from yellowbooks.operators.desk import Desk, masked
from yellowbooks.operators.shapes import Found, JobList, Row
from yellowbooks.views import time as shown_time

if TYPE_CHECKING:
    from yellowbooks.joblog import JobLog, JobRow

PAGE = 100
FOUND = 50
CURSOR = re.compile(rf"^[0-9]{{1,14}}\.{JOB_ID.pattern}$")
Cursor = Annotated[str | None, QueryParameter(schema_extra={"pattern": CURSOR.pattern})]
# As a text: the framework would take «0.5» for half a second after 1970.
Moment = Annotated[str | None, QueryParameter(schema_extra={"format": "date-time"})]
LONGEST = 320  # characters of a search: an address has at most 254, a Message-ID of ours fewer
Sought = Annotated[str, QueryParameter(required=True, max_length=LONGEST, schema_extra={"pattern": NOT_BLANK})]


def finding_routes(desk: Desk) -> list[Any]:
    """`GET /api/admin/jobs` and `GET /api/admin/search`."""

    @get("/api/admin/jobs", summary="List jobs, newest first", operation_id="list-jobs")
    async def list_jobs(
        status: FromQuery[State | None] = None,
        type: FromQuery[str | None] = None,  # noqa: A002  the contract's word
        since: Moment = None,
        until: Moment = None,
        error: FromQuery[str | None] = None,
        cursor: Cursor = None,
        limit: Annotated[int, QueryParameter(ge=1, le=PAGE)] = 50,
    ) -> JobList:
        """By the job log. `since` and `until` bound the admission, `error` is a part of the error, any case."""
        wanted = {
            "status": status.value if status else None, "kind": type, "error": error or None,
            "since": _milliseconds("since", since), "until": _milliseconds("until", until), "before": _place(cursor),
        }  # fmt: skip
        found = await desk.ask(lambda log: log.page(limit + 1, **wanted))
        following = f"{found[limit - 1].created}.{found[limit - 1].job_id}" if len(found) > limit else None
        return JobList(jobs=await rows_of(desk, found[:limit]), next=following)

    @get("/api/admin/search", summary="Find jobs by whom or what they are about", operation_id="search-jobs")
    async def search(q: Sought = "") -> Found:
        """By job id, Message-ID, address, X-Request-Id or user id, whichever fits first; the newest 50."""
        began = time.perf_counter()
        text = q.strip()
        if not text:
            raise Invalid([Fault("q", "is empty; send a job id, a Message-ID, an address, a request or a user id")])
        by, found = await _found(desk, text)
        rows = await rows_of(desk, found)
        if not rows and JOB_ID.fullmatch(text) and (job := await _in_queue(desk, text)):
            by, rows = "jobId", [row_of_job(job)]
        return Found(jobs=rows, by=by if rows else None, took_ms=round((time.perf_counter() - began) * 1000, 3))

    return [list_jobs, search]


async def rows_of(desk: Desk, found: "list[JobRow]") -> list[Row]:
    """Rows of the log as lists show them, with the masked user of those whose payload the queue still has."""
    payloads = await desk.payloads([one.job_id for one in found]) if found else {}
    users = {job_id: masked(kind, payload).get("userId") for job_id, (kind, payload) in payloads.items()}
    return [
        Row(
            job_id=one.job_id, type=one.kind, status=one.status, attempts=one.attempts, max_attempts=one.max_attempts,
            created_at=shown_time(one.created) or "", updated_at=shown_time(one.updated) or "", error=one.error,
            user_id=users.get(one.job_id), user_ref=one.ref, request_id=one.request_id,
        )
        for one in found
    ]  # fmt: skip


def row_of_job(job: Job) -> Row:
    """A row of a job as the queue knows it."""
    updated = job.history[-1].at if job.history else job.created
    return Row(
        job_id=job.id, type=job.kind, status=job.state, attempts=job.attempts, max_attempts=job.max_attempts,
        created_at=shown_time(job.created) or "", updated_at=shown_time(updated) or "", error=job.error,
    )  # fmt: skip


async def _found(desk: Desk, text: str) -> "tuple[str | None, list[JobRow]]":
    sought = dict(pair for kind in desk.kinds.values() if kind.finder for pair in kind.finder.sought(text))

    def look(log: "JobLog") -> "tuple[str | None, list[JobRow]]":
        if one := log.row(text):
            return "jobId", [one]
        for by in ("messageId", "email", "requestId", *sought):
            if by == "requestId":
                found = log.requested(text, FOUND)
            else:
                found = log.search(sought[by], FOUND) if by in sought else []
            if found:
                return by, found
        return None, []

    try:
        return await desk.ask(look)
    except HTTPException:
        if JOB_ID.fullmatch(text) and await _in_queue(desk, text):
            return None, []  # the queue knows the job of this id, without the log
        raise


async def _in_queue(desk: Desk, job_id: str) -> Job | None:
    try:
        return await desk.queue.show(job_id)
    except QueueUnavailable:
        return None


def _milliseconds(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        raise Invalid([Fault(name, "is no time; send one such as 2025-12-18T23:00:00Z")]) from None
    if moment.tzinfo is None:
        raise Invalid([Fault(name, "has no offset; send one such as 2025-12-18T23:00:00Z")])
    return round(moment.timestamp() * 1000)


def _place(cursor: str | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    if not CURSOR.fullmatch(cursor):
        raise Invalid([Fault("cursor", "is none that an earlier page gave; leave it out to begin again")])
    at, _, job_id = cursor.partition(".")
    return int(at), job_id
