"""What each verb takes and gives: the Python half of the contracts in `transitions/`."""

from typing import Any, Literal

import msgspec

from yellowbooks.jobs.job import State
from yellowbooks.jobs.script import Script


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What `admit` takes of one job; its payload travels beside it. `delay` and `window` are milliseconds."""

    id: str
    kind: str
    fingerprint: str
    nonce: str
    delay: int
    max_attempts: int
    doubt: str
    bucket: str | None
    limit: int
    window: int


class Receipt(msgspec.Struct, frozen=True):
    """What became of a request to take a job in.

    `seen`: the id came before; `state` is where that job stands (None: it left the queue, ask the log) and `same`
    says whether it was the same request. `limited`: `wait` milliseconds until there is room. `full`: too many wait.
    """

    word: Literal["admitted", "seen", "limited", "full"]
    state: State | None = None
    same: bool = False
    wait: float = 0.0


class Leased(msgspec.Struct, frozen=True):
    """One job that `claim` gave; its payload comes beside it."""

    id: str
    kind: str
    token: str
    attempt: int
    created: int
    uncertain: int


class Claimed(msgspec.Struct, frozen=True):
    """What `claim` gave, and the milliseconds until the next job is due (-1: none is)."""

    jobs: list[Leased]
    wait: float


class Held(msgspec.Struct, frozen=True):
    """A job and the token that its holder has."""

    id: str
    token: str


class Named(msgspec.Struct, frozen=True):
    """A job by its id."""

    id: str


class Settlement(msgspec.Struct, frozen=True):
    """How one attempt ended; `delay` is milliseconds."""

    id: str
    token: str
    outcome: str
    delay: int
    error: str
    uncertain: bool


VERBS: dict[str, Script[Any]] = {
    "admit": Script("admit", list[Receipt], args=("items", "backlog"), item=Admission),
    "claim": Script("claim", Claimed, args=("worker", "claim", "kinds", "room", "lease")),
    "renew": Script("renew", list[str], args=("items", "lease"), item=Held),
    "commit": Script("commit", list[str], args=("items", "lease"), item=Held),
    "settle": Script("settle", list[str], args=("items",), item=Settlement),
    "release": Script("release", list[str], args=("items",), item=Held),
    "requeue": Script("requeue", list[str], args=("items",), item=Named),
    "cancel": Script("cancel", list[str], args=("items",), item=Named),
    "discard": Script("discard", list[str], args=("items",), item=Named),
    "lead": Script("lead", str, args=("seat", "milliseconds")),
    "recorded": Script("recorded", int, args=("position", "retention")),
}
