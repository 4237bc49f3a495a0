"""A row from what the queue tells of its job: where events were lost on their way, its record has them. Pure."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from yellowbooks.joblog.fold import Heard, Row, fold, place
from yellowbooks.jobs import Event, Job

Line = tuple[str, int, str, int]


def missing(told: Sequence[Event], known: Sequence[Event]) -> list[Event]:
    """What the queue tells of a job and the log does not have."""
    have = Counter(_line(event) for event in known)
    lacking = []
    for event in told:
        if have[_line(event)]:
            have[_line(event)] -= 1
        else:
            lacking.append(event)
    return lacking


def retold(job: Job, position: str, known: Sequence[Event], before: Row | None, heard: Heard) -> Row:
    """The row of a job from all that is known of it, whose newest event has this position; `heard` is told what is new.

    Whom the job is about and which request brought it stand in no record: they are those of the row before.
    """
    lacking = missing(job.history, known)
    events = sorted([*known, *lacking], key=lambda event: event.at)  # stable: what the log had in its order
    events = _in_order(events, job)
    places = [msgspec.structs.replace(event, position=f"{event.at}-{n}") for n, event in enumerate(events)]
    fresh = Counter(_line(event) for event in lacking)

    def hear(row: Row | None, event: Event) -> None:
        if fresh[_line(event)]:
            fresh[_line(event)] -= 1
            heard(row, event)

    [row] = fold(places, {}, hear)
    row.last_event, row.fresh, row.created_at = place(position), True, job.created
    if before:
        row.request_id, row.ref = before.request_id, before.ref
    return row


def _in_order(events: list[Event], job: Job) -> list[Event]:
    """Events of one millisecond stand as the queue tells them; those that only the log has, where they were."""
    rank = {_line(event): n for n, event in reversed(list(enumerate(job.history)))}
    last = -1
    ranked = []
    for event in events:
        last = rank.get(_line(event), last)
        ranked.append((event.at, last, event))
    return [event for _, _, event in sorted(ranked, key=lambda one: one[:2])]


def _line(event: Event) -> Line:
    return event.name, event.at, event.state, event.attempt
