"""Commands about jobs: see them, ask why they wait, follow them, cancel them."""

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import click

from yellowbooks.cli.base import NO_SUCH_JOB, NOT_DONE, REFUSED, main
from yellowbooks.cli.operate import (
    Moment,
    clock,
    has_log,
    json_option,
    of_log,
    on_log,
    on_queue,
    say,
    sentence,
    stop,
    table,
)
from yellowbooks.settings import Settings

if TYPE_CHECKING:
    from yellowbooks.joblog import JobRow
    from yellowbooks.jobs import Event, Job, Queue

FOLLOW_SECONDS = 0.2
STATUSES = ("scheduled", "enqueued", "processing", "retrying", "completed", "dead", "cancelled")
UNKNOWN = "no job has the id {0}; see that it is written in full, or ask where the job log is (YB_DATABASE_URL)"


@main.group()
def jobs() -> None:
    """See jobs, ask why they wait, follow them, cancel them."""


@jobs.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Jobs that stand here.")
@click.option("--kind", help="Jobs of this kind.")
@click.option("--error", help="A part of the last error, in any case.")
@click.option("--since", type=Moment(), help="Admitted at this time or later, or within so long (2h).")
@click.option("--until", type=Moment(), help="Admitted before this time, or so long ago (2h).")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At most so many.")
@click.option("--cursor", metavar="CURSOR", help="Of the next page, as `--json` gives it.")
@json_option
def list_jobs(limit: int, cursor: str | None, as_json: bool, **wanted: Any) -> None:
    """Jobs by the job log, the newest first; it is a moment behind the queue, and knows what that has forgotten."""
    place = _place(cursor)
    found = on_log(lambda log: log.page(limit + 1, before=place, **wanted))
    rows = found[:limit]
    if as_json:
        following = f"{rows[-1].created}.{rows[-1].job_id}" if len(found) > limit else None
        say({"jobs": [_row_view(row) for row in rows], "next": following})
        return
    lines = [(row.job_id, row.kind, row.status, f"{row.attempts}/{row.max_attempts}", clock(row.created),
              clock(row.updated), row.error) for row in rows]  # fmt: skip
    table(
        ["job", "kind", "status", "attempts", "created (UTC)", "changed (UTC)", "error"],
        lines,
        empty="no job is like that",
    )
    if len(found) > limit:
        click.echo(f"the newest {limit}; see more with --limit")


def _place(cursor: str | None) -> tuple[int, str] | None:
    at, dot, job_id = (cursor or "").partition(".")
    if cursor is None:
        return None
    if not (at.isdecimal() and dot and job_id):
        raise click.BadParameter("is none that an earlier page gave", param_hint="--cursor")
    return int(at), job_id


def _row_view(row: "JobRow") -> dict[str, Any]:
    """As `GET /api/admin/jobs` has it, but for the user, whom a list on a terminal need not name."""
    from yellowbooks.views import time

    return {
        "jobId": row.job_id, "type": row.kind, "status": row.status, "attempts": row.attempts,
        "maxAttempts": row.max_attempts, "createdAt": time(row.created), "updatedAt": time(row.updated),
        "error": row.error, "requestId": row.request_id, "userRef": row.ref,
    }  # fmt: skip


@jobs.command()
@click.argument("job_id")
@json_option
def show(job_id: str, as_json: bool) -> None:
    """One job: where it stands and its whole history; also one that only the job log knows."""
    from yellowbooks.views import job_view

    async def work(queue: "Queue", settings: Settings) -> tuple["Job", str]:
        return await _found(queue, settings, job_id), await queue.explain(job_id)

    job, why = on_queue(work)
    if as_json:
        say(job_view(job))
        return
    table(["", ""], _facts(job), empty="")
    click.echo()
    table(["at (UTC)", "event", "attempt", "by", "detail"], map(_line, job.history), empty="nothing is known of it")
    click.echo()
    if not why.startswith("The queue does not know"):
        sentence(why)


@jobs.command()
@click.argument("job_id")
@json_option
def explain(job_id: str, as_json: bool) -> None:
    """One sentence on why a job is where it is, and what happens next."""

    async def work(queue: "Queue", settings: Settings) -> tuple["Job", str]:
        return await _found(queue, settings, job_id), await queue.explain(job_id)

    job, why = on_queue(work)
    if as_json:
        say({"jobId": job_id, "status": job.state, "explain": why})
    else:
        sentence(why)


@jobs.command()
@click.argument("job_ids", nargs=-1, required=True, metavar="JOB_ID...")
@json_option
def cancel(job_ids: tuple[str, ...], as_json: bool) -> None:
    """End jobs that wait or run and are not past the point of no return."""

    async def work(queue: "Queue", _settings: Settings) -> list[str]:
        return await queue.cancel(job_ids)

    answers = on_queue(work)
    said = {
        "cancelled": "cancelled",
        "committed": "too late: it is past the point of no return",
        "ended": "it has ended; see `yellowbooks jobs show`",
        "unknown": "no job in the queue has this id",
    }
    if as_json:
        say({"jobs": [{"jobId": job_id, "answer": answer} for job_id, answer in zip(job_ids, answers, strict=True)]})
    else:
        for job_id, answer in zip(job_ids, answers, strict=True):
            click.echo(f"{job_id}  {said[answer]}")
    if "committed" in answers or "ended" in answers:
        raise SystemExit(REFUSED)
    if "unknown" in answers:
        raise SystemExit(NO_SUCH_JOB)


@jobs.command()
@click.argument("job_id", required=False)
@click.option("--kind", help="Only jobs of this kind.")
@json_option
def follow(job_id: str | None, kind: str | None, as_json: bool) -> None:
    """Events as they happen, a line each: of one job until it ends (exit status 0 where it completed), or of all."""
    from yellowbooks.jobs import State
    from yellowbooks.views import event_view

    def show_line(event: "Event") -> None:
        if as_json:
            say({"jobId": event.job, "type": event.kind} | event_view(event))
        else:
            at, name, attempt, by, detail = _line(event)
            click.echo(f"{at}  {event.job:<20}  {name:<10}  {attempt or '':<2} {by:<8}  {detail}".rstrip())

    async def work(queue: "Queue", settings: Settings) -> "State | None":
        if job_id is None:
            async for event in queue.follow():
                if kind in (None, event.kind):
                    show_line(event)
            return None
        state = None
        async for job, event in _of_one(queue, settings, job_id):
            state = job.state
            show_line(event)
        return state

    try:
        state = on_queue(work)
    except KeyboardInterrupt:
        return
    if state is not State.COMPLETED:
        raise SystemExit(NOT_DONE)


async def _of_one(queue: "Queue", settings: Settings, job_id: str) -> AsyncIterator[tuple["Job", "Event"]]:
    """Lines of a job's own history, which forgets none, until it has ended."""
    from yellowbooks.jobs import State

    told = 0
    while True:
        job = await _found(queue, settings, job_id)
        for event in job.history[told:]:
            yield job, event
        told = len(job.history)
        if job.state in (State.COMPLETED, State.DEAD, State.CANCELLED):
            return
        await asyncio.sleep(FOLLOW_SECONDS)


async def _found(queue: "Queue", settings: Settings, job_id: str) -> "Job":
    """The job as the queue has it, or the log. Raises `SystemExit` where neither does."""
    job = await queue.show(job_id)
    if job is None and has_log(settings):
        job = await of_log(settings, lambda log: log.find(job_id))
    if job is None:
        raise stop(UNKNOWN.format(job_id[:128]), NO_SUCH_JOB)
    return job


def _facts(job: "Job") -> list[tuple[str, str]]:
    facts = {
        "job": job.id,
        "kind": job.kind,
        "status": str(job.state),
        "attempts": f"{job.attempts} of {job.max_attempts}" + (f", {job.crashes} crashes" if job.crashes else ""),
        "created": clock(job.created),
        "started": clock(job.started),
        "ended": clock(job.ended),
        "next attempt": clock(job.due),
        "error": job.error or "",
        "cause": job.cause or "",
    }
    return [(name, value) for name, value in facts.items() if value]


def _line(event: "Event") -> tuple[str, str, str, str, str]:
    detail = event.error or event.note or (f"{event.progress:.0%}" if event.progress is not None else "")
    if event.due:
        detail = f"{detail + '; ' if detail else ''}due {clock(event.due)}"
    return clock(event.at), event.name, str(event.attempt or ""), event.worker or event.by or "", detail
