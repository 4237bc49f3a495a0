"""The job record and its states.

    (none) --admit--> ENQUEUED --claim--> PROCESSING --settle--> COMPLETED
                         ^                    |
                         |                    |--settle--> RETRYING --(due)--> ENQUEUED
                         |                    `--settle--> DEAD --requeue----> ENQUEUED
                         |                                     --discard----> CANCELLED
                         |
                         `-- release: leased and not begun
                         `-- the lease expired: a crash

    verb      from                            to                                  event
    admit     (none)                          ENQUEUED; SCHEDULED if delayed      admitted
    claim     SCHEDULED, RETRYING when due    ENQUEUED                            promoted
              PROCESSING, lease expired       ENQUEUED                            crashed
                                              DEAD if poison, or in doubt twice   died
              ENQUEUED                        PROCESSING                          claimed
    renew     PROCESSING                      PROCESSING, a later end of lease
    commit    PROCESSING                      PROCESSING, past the point of no return
    note      PROCESSING                      PROCESSING, a line in its history   noted
    settle    PROCESSING                      COMPLETED                           completed
                                              RETRYING, an attempt spent          retried
                                              RETRYING, put off, none spent       deferred
                                              DEAD                                died
    release   PROCESSING, not committed       ENQUEUED                            released
    cancel    SCHEDULED, ENQUEUED, RETRYING   CANCELLED                           cancelled
              PROCESSING, not committed       CANCELLED                           cancelled
    edit      DEAD                            DEAD, with another payload          edited
    restore   (none), the log knows it        ENQUEUED; SCHEDULED, RETRYING, DEAD         restored
                                              DEAD if held in doubt                       died
    requeue   DEAD                            ENQUEUED, a new generation;
                                              SCHEDULED at a pace                 requeued
    discard   DEAD                            CANCELLED                           discarded

Each verb is one Lua file in `transitions/` and one method of `Queue`. From PROCESSING only the holder of the
lease's token moves a job; `claim` takes it from him once the lease has expired, `cancel` before he has committed.
`hold` and `unhold` close and open the gate of a kind or a channel, and move no job.

A job is in exactly one index, and the state in its record agrees with that index:

    SCHEDULED, RETRYING   due       by the time it may run
    ENQUEUED              enqueued  a line a kind and lane, round by round; or behind the one that runs, if exclusive
    PROCESSING            leases    by the time the lease ends
    DEAD                  dead      by the time it died
    COMPLETED, CANCELLED  ended     by the time it ended; forgotten after the retention, once the log has it
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from yellowbooks.jobs.events import Event


class State(StrEnum):
    """Where a job stands; the words are those of the HTTP contract."""

    SCHEDULED = "scheduled"
    ENQUEUED = "enqueued"
    PROCESSING = "processing"
    RETRYING = "retrying"
    COMPLETED = "completed"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one job. Times are milliseconds since 1970-01-01T00:00:00Z, by the queue's clock."""

    id: str
    kind: str
    state: State
    attempts: int
    max_attempts: int
    crashes: int
    generation: int
    created: int
    started: int | None
    ended: int | None
    due: int | None
    failed: Event | None = None
    history: tuple[Event, ...] = ()

    @property
    def error(self) -> str | None:
        """What went wrong last; None where nothing did since it was admitted, requeued or completed."""
        return self.failed.error if self.failed else None

    @property
    def cause(self) -> str | None:
        """What sort of failure it was."""
        return self.failed.cause if self.failed else None


def failure(history: Iterable[Event]) -> Event | None:
    """The last failure of a job that nothing has made up for."""
    failed = None
    for event in history:
        failed = event if event.error else None if event.name in ("requeued", "completed") else failed
    return failed
