"""A job as the contract shows it."""

from datetime import UTC, datetime
from typing import Any

from yellowbooks.jobs import Event, Job, State


def time(milliseconds: int | None) -> str | None:
    """Milliseconds since 1970 as RFC 3339 in UTC."""
    if milliseconds is None:
        return None
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_view(job: Job) -> dict[str, Any]:
    """One job, as `GET /api/jobs/{jobId}` and the dead letter list answer it."""
    waiting = job.state in (State.SCHEDULED, State.RETRYING)
    return {
        "jobId": job.id,
        "type": job.kind,
        "status": job.state,
        "attempts": job.attempts,
        "maxAttempts": job.max_attempts,
        "crashes": job.crashes,
        "generation": job.generation,
        "createdAt": time(job.created),
        "startedAt": time(job.started),
        "processedAt": time(job.ended),
        "nextAttemptAt": time(job.due) if waiting else None,
        "error": job.error,
        "history": [event_view(event) for event in job.history],
    }


def dead_view(job: Job) -> dict[str, Any]:
    """A dead job as an operator sees it: what sort of failure it was, and where in the code each attempt failed."""
    failed = job.failed
    history = [event_view(event) | _place_view(event) for event in job.history]
    return job_view(job) | {
        "cause": failed.cause if failed else None,
        "release": failed.release if failed else None,
        "history": history,
    }


def _place_view(event: Event) -> dict[str, str]:
    view = {"cause": event.cause, "release": event.release, "trace": event.trace}
    return {key: value for key, value in view.items() if value}


def event_view(event: Event) -> dict[str, Any]:
    """One line of a job's history."""
    view = {
        "at": time(event.at),
        "event": event.name,
        "status": event.state,
        "attempt": event.attempt,
        "nextAttemptAt": time(event.due),
        "error": event.error,
        "worker": event.worker,
    }
    return {key: value for key, value in view.items() if value is not None}
