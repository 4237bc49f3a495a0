"""The job record and its states.

                 admit                     claim                     settle(Completed)
    (none) -----------------> ENQUEUED ---------------> PROCESSING --------------------> COMPLETED
       \                       ^  ^  |                   |  |  |
        \ admit(delay)         |  |  | cancel            |  |  \--- settle(Retry) ----> RETRYING --.
         \                     |  |  v                   |  \------ settle(Dead) -----> DEAD       |
          `--> SCHEDULED ------'  | CANCELLED            |                               |  |      |
                  |      due      |   ^   ^              |--- release (not started)      |  |      |
                  `---------------|---'   |              `--- lease expired (crash)      |  |      |
                      cancel      |       `----------------------- discard --------------'  |      |
                                  |-----------------------------------requeue---------------'      |
                                  `-----------------------------------due--------------------------'

A job is in exactly one index, and the state in its record agrees with that index:

    SCHEDULED, RETRYING   due       by the time it may run
    ENQUEUED              enqueued  one index a kind, first in first out
    PROCESSING            leases    by the time the lease ends
    DEAD                  dead      by the time it died
    COMPLETED, CANCELLED  ended     by the time it ended; forgotten after the retention

Each arrow is one Lua file in `transitions/`, one method of `Queue` and one event. Release and an expired
lease lead back to ENQUEUED; `claim` promotes what is due and reaps what expired before it takes anything.
"""

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
    error: str | None
    history: tuple[Event, ...]
