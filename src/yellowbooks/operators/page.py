"""A job's page: everything that is known of one job, on one timeline."""

import asyncio
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import get
from litestar.exceptions import HTTPException, NotFoundException
from litestar.params import FromPath

from yellowbooks.jobs import Event, Job, QueueUnavailable
from yellowbooks.operators.desk import Desk, Rendered, masked
from yellowbooks.operators.finding import row_of_job, rows_of
from yellowbooks.operators.shapes import JobPage, MailOf, Row, Step, Trouble
from yellowbooks.views import time as shown_time

if TYPE_CHECKING:
    from yellowbooks.joblog import JobLog, JobRow

_MESSAGE_ID = re.compile(r"\s*(<[0-9a-f]{40}@[^\s<>]+>)$")


def page_route(desk: Desk) -> Any:
    """`GET /api/admin/jobs/{jobId}`."""

    @get("/api/admin/jobs/{job_id:str}", summary="Show all of one job", operation_id="show-job")
    async def show(job_id: FromPath[str]) -> JobPage:
        """Its way from the HTTP request to the server's words, why it is where it is, and its payload, masked."""
        trouble: list[Trouble] = []
        queued, explained = await _from_queue(desk, job_id, trouble)
        row, logged = await _from_log(desk, job_id, trouble)
        job = queued or logged
        if job is None and trouble:
            raise HTTPException("; ".join(one.error for one in trouble), status_code=503)
        if job is None:
            raise NotFoundException(f"no job has the id {job_id[:128]}")
        steps = [*_received(row), *_steps(merged(queued, logged))]
        first = (await rows_of(desk, [row]))[0] if row else row_of_job(job)
        page = _page(first, job, explained, steps, trouble)
        await _add_contents(desk, page, job)
        return page

    return show


async def _from_queue(desk: Desk, job_id: str, trouble: list[Trouble]) -> tuple[Job | None, str | None]:
    try:
        job = await desk.queue.show(job_id)
        return job, await desk.queue.explain(job_id) if job else None
    except QueueUnavailable as error:
        trouble.append(Trouble(part="queue", error=str(error)))
        return None, None


async def _from_log(desk: Desk, job_id: str, trouble: list[Trouble]) -> "tuple[JobRow | None, Job | None]":
    def look(log: "JobLog") -> "tuple[JobRow | None, Job | None]":
        return log.row(job_id), log.find(job_id)

    try:
        return await desk.log.ask(look)
    except ConnectionError as error:
        trouble.append(Trouble(part="log", error=str(error)))
        return None, None


def merged(queued: Job | None, logged: Job | None) -> list[Event]:
    """One history of two: the log's has every word, the queue's where in the code it failed, and what is newest."""
    known = {_mark(event): event for event in (logged.history if logged else ())}
    for event in queued.history if queued else ():
        before = known.get(_mark(event))
        known[_mark(event)] = _with_trace(before, event) if before else event
    return sorted(known.values(), key=lambda event: event.at)


def _mark(event: Event) -> tuple[str, int, int]:
    return event.name, event.at, event.attempt


def _with_trace(logged: Event, queued: Event) -> Event:
    return msgspec.structs.replace(logged, trace=queued.trace)


def _received(row: "JobRow | None") -> Iterator[Step]:
    if row and row.request_id:
        yield Step(at=shown_time(row.created) or "", event="received", detail=row.request_id)


def _steps(history: list[Event]) -> Iterator[Step]:
    for event in history:
        at = shown_time(event.at) or ""
        if event.name == "completed" and event.note:
            yield Step(at=at, event="replied", attempt=event.attempt or None, detail=event.note)
        yield Step(
            at=at, event=event.name, status=event.state, worker=event.worker, attempt=event.attempt or None,
            detail=event.note if event.name == "noted" else None, error=event.error, cause=event.cause,
            release=event.release, trace=event.trace, by=event.by, next_attempt_at=shown_time(event.due),
            progress=event.progress,
        )  # fmt: skip


def _page(row: Row, job: Job, explained: str | None, steps: list[Step], trouble: list[Trouble]) -> JobPage:
    shown = {name: getattr(row, name) for name in row.__struct_fields__}
    shown |= {"status": job.state, "attempts": job.attempts, "error": job.error}
    return JobPage(
        **shown, crashes=job.crashes, generation=job.generation, timeline=steps, trouble=trouble,
        explain=explained or f"It left the queue; the job log has it as {job.state}.",
    )  # fmt: skip


async def kept_mail(desk: Desk, job: Job) -> Rendered | None:
    """The mail of a job that ended, where it was kept when it was sent."""
    said = next((event.note for event in reversed(job.history) if event.name == "completed"), None)
    words = _MESSAGE_ID.split(said) if said else []
    return await asyncio.to_thread(desk.mails.kept, words[1]) if len(words) > 1 else None


async def _add_contents(desk: Desk, page: JobPage, job: Job) -> None:
    """The payload and the mail, as far as they are still there: a job that ended has lost its payload."""
    replied = next((step.detail for step in reversed(page.timeline) if step.event == "replied"), None)
    words = _MESSAGE_ID.split(replied) if replied else []
    mail = MailOf(reply=words[0], message_id=words[1] if len(words) > 1 else None) if words else None
    held = (await desk.payloads([job.id])).get(job.id)
    if held:
        kind, payload = held
        page.payload = masked(kind, payload)
        if written := await asyncio.to_thread(desk.mails.write, job.id, job.created, payload):
            mail = mail or MailOf()
            mail.message_id, mail.subject = written.message_id, written.subject
    elif mail and mail.message_id and (kept := await asyncio.to_thread(desk.mails.kept, mail.message_id)):
        mail.subject = kept.subject
    page.mail = mail
