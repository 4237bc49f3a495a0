"""What a batch of new events adds beside the rows: search keys, and the counts of its minutes. Pure."""

from collections.abc import Iterator

from yellowbooks.joblog.fold import Row
from yellowbooks.joblog.histogram import Counts, step_of
from yellowbooks.jobs import KEY_LENGTH, Event

MINUTE = 60_000  # ms
COUNTED = {"admitted": "admitted", "completed": "completed", "retried": "failed", "deferred": "deferred",
           "crashed": "crashed", "died": "died", "cancelled": "cancelled", "requeued": "requeued"}  # fmt: skip


class Minute:
    """What happened within a minute; `waits` from the moment when a job may run to its claim, `runs` from there."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = dict.fromkeys(COUNTED.values(), 0)
        self.waits: Counts = {}
        self.runs: Counts = {}


class Tally:
    """Hears of each new event once, in order."""

    def __init__(self) -> None:
        self.minutes: dict[int, Minute] = {}
        self.keys: list[tuple[str, int, str]] = []  # key, when its job was admitted (ms), job id

    def hear(self, before: Row | None, event: Event) -> None:
        """Count an event. What made a claimed job ready is the event before it, so the wait is between the two."""
        minute = self.minutes.setdefault(event.at // MINUTE * MINUTE, Minute())
        if event.name in COUNTED:
            minute.counts[COUNTED[event.name]] += 1
        if event.found and (event.name == "admitted" or before):
            created = before.created_at if before and event.name != "admitted" else event.at
            self.keys += [(key, created, event.job) for key in _keys(event.found)]
        if before is None:
            return
        if event.name == "claimed":
            _count(minute.waits, event.at - int(before.last_event[:16]))
        elif event.name in ("completed", "retried", "deferred", "died") and before.status == "processing":
            _count(minute.runs, event.at - (before.started_at or event.at))


def _count(counts: Counts, milliseconds: int) -> None:
    step = step_of(milliseconds)
    counts[step] = counts.get(step, 0) + 1


def _keys(found: str) -> Iterator[str]:
    return (found[n : n + KEY_LENGTH] for n in range(0, len(found), KEY_LENGTH))
