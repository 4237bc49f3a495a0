"""What each verb takes and gives: the Python half of the contracts in `transitions/`."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from yellowbooks.jobs import record
from yellowbooks.jobs.explain import Facts
from yellowbooks.jobs.job import State
from yellowbooks.jobs.kind import LANES, Kind, Lane
from yellowbooks.jobs.lease import Lease
from yellowbooks.jobs.outcome import Completed, Outcome, Retry
from yellowbooks.jobs.script import Script
from yellowbooks.jobs.survey import Survey


class Admission(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `admit` takes of one job; its body travels beside it. `delay` and the windows are milliseconds.

    `found` has the keys that the job may be found by, `request` the name of the request that brought it.
    """

    id: str
    limit: int = 0
    window: int = 0
    delay: int | None = None
    unique: str | None = None
    unique_window: int = 0
    found: str | None = None
    request: str | None = None


class Receipt(msgspec.Struct, frozen=True):
    """What became of a request to take a job in.

    `seen`: the id came before; `state` is where that job stands (None: it left the queue, ask the log) and `same`
    says whether it was the same request; `first` names another job that holds the unique window.
    `limited`: `wait` milliseconds until there is room. `full`: too many wait.
    """

    word: Literal["admitted", "seen", "limited", "full"]
    state: State | None = None
    same: bool = False
    wait: float = 0.0
    first: str | None = None


class Claimable(msgspec.Struct, frozen=True):
    """A kind that a worker takes: `limit` jobs in `window` ms may leave through its channel (0: any number)."""

    name: str
    channel: str
    limit: int
    window: int


class Held(msgspec.Struct, frozen=True):
    """A job and the token that its holder has."""

    id: str
    token: str


class Named(msgspec.Struct, frozen=True, omit_defaults=True):
    """A job by its id."""

    id: str


class Place(msgspec.Struct, frozen=True):
    """An id that a caller gave, and the partition where its job would be."""

    id: str
    partition: int


class Requeue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dead job to run again, after `delay` ms; `by` says who wants it."""

    id: str
    delay: int | None = None
    by: str | None = None


class Edit(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dead job that gets another payload; `found` has the keys that it may be found by from then on, too."""

    id: str
    by: str | None = None
    found: str | None = None


class Reseal(msgspec.Struct, frozen=True):
    """A job whose payload, so many bytes, is sealed anew."""

    id: str
    size: int


class Note(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a running attempt says of itself; `progress` is a share of 1."""

    id: str
    token: str
    text: str | None = None
    progress: float | None = None


class Restored(msgspec.Struct, frozen=True):
    """A job as the job log knows it, to be made again. Times are milliseconds since 1970, 0 where there is none;
    `unique_window` (ms) is that of its kind. Its story and its body travel beside it."""

    id: str
    state: State
    attempts: int
    crashes: int
    generation: int
    created: int
    due: int = 0
    ended: int = 0
    cause: str = ""
    release: str = ""
    unique_window: int = 0


class Shed(msgspec.Struct, frozen=True, array_like=True):
    """What left without the job log's knowing: entries of events, ended jobs, and payloads of jobs that died."""

    entries: int = 0
    jobs: int = 0
    payloads: int = 0


class Settlement(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an attempt ended that did not complete. `delay` and `probe` are milliseconds.

    `hold` names the channel that the attempt found unusable.
    """

    outcome: str
    delay: int = 0
    error: str = ""
    cause: str = ""
    uncertain: bool = False
    spent: bool = False
    hold: str | None = None
    probe: int = 0
    trace: str = ""


class Group(msgspec.Struct, array_like=True, frozen=True):
    """Dead jobs that have kind, cause and release in common, how many, and the place of the newest."""

    id: str
    kind: str
    cause: str
    release: str
    count: int
    newest: int


VERBS: dict[str, Script[Any]] = {
    "admit": Script("admit", list[Receipt], args=("items", "backlog"), item=Admission),
    "name": Script("name", list[int], args=("items",), item=Place),
    "claim": Script("claim", tuple[float, int], args=("worker", "claim", "kinds", "room", "lease")),
    "renew": Script(
        "renew", list[str], args=("items", "lease", "worker", "kinds", "about", "idle", "capacity"), item=Held
    ),
    "leave": Script("leave", str, args=("worker",)),
    "commit": Script("commit", list[str], args=("items", "lease"), item=Held),
    "settle": Script(
        "settle", list[str], args=("ids", "tokens", "others", "words", "channels", "pace", "release"), item=Settlement
    ),
    "release": Script("release", list[str], args=("items",), item=Held),
    "note": Script("note", list[str], args=("items",), item=Note),
    "requeue": Script("requeue", list[str], args=("items",), item=Requeue),
    "edit": Script("edit", list[str], args=("items",), item=Edit),
    "reseal": Script("reseal", list[str], args=("items",), item=Reseal),
    "shred": Script("shred", list[str], args=("items", "accounts"), item=Named),
    "cancel": Script("cancel", list[str], args=("items",), item=Named),
    "discard": Script("discard", list[str], args=("items",), item=Named),
    "hold": Script("hold", str, args=("channel", "by", "reason")),
    "unhold": Script("unhold", str, args=("channel", "pace", "kinds")),
    "lock": Script("lock", int, args=("name", "holder", "milliseconds")),
    "unlock": Script("unlock", str, args=("name", "holder")),
    "fire": Script("fire", tuple[int, int], args=("name", "at")),
    "look": Script("look", Facts, args=("id",)),
    "survey": Script("survey", Survey, args=("named",)),
    "group": Script("group", tuple[str, str, list[Group]], args=("phase", "cursor", "above", "below")),
    "restore": Script("restore", list[str], args=("items", "after"), item=Restored),
    "shed": Script("shed", Shed, args=("bytes", "retention", "dead_retention")),
    "recorded": Script("recorded", int, args=("position", "retention", "dead_retention")),
}


def claimable(kind: Kind[Any] | str) -> Claimable:
    """A kind as `claim` takes it."""
    if isinstance(kind, str):
        return Claimable(kind, kind, 0, 0)
    quota = kind.quota
    return Claimable(kind.name, kind.channel, quota.limit if quota else 0, round(quota.window * 1000) if quota else 0)


def held(leases: Sequence[Lease]) -> list[Held]:
    """Leases as the verbs of their holder take them."""
    return [Held(lease.job_id, lease.token) for lease in leases]


def admission(kind: Kind[Any], payload: Any, job_id: str, delay: float, request: str | None) -> Admission:
    """A request as `admit` takes it; `delay` is seconds."""
    rate, unique = kind.rate, kind.unique
    counted = rate is not None and payload.key() is not None
    return Admission(
        job_id,
        rate.limit if rate and counted else 0,
        round(rate.window * 1000) if rate and counted else 0,
        round(delay * 1000) if delay > 0 else None,
        kind.account(payload.key() or "").decode() if unique else None,
        round(unique * 1000) if unique else 0,
        keys_of(kind, payload, job_id),
        request,
    )


def edited(kind: Kind[Any], payload: Any, job_id: str, by: str | None) -> Edit:
    """Another payload as `edit` takes it; the payload itself travels beside it."""
    return Edit(job_id, by, keys_of(kind, payload, job_id))


def keys_of(kind: Kind[Any], payload: Any, job_id: str) -> str | None:
    """The keys that a job may be found by, one after another; None where its kind has none."""
    return "".join(kind.finder.keys(job_id, payload)) or None if kind.finder else None


def words_of(outcomes: Sequence[Outcome]) -> list[str]:
    """What completed attempts say of themselves, one a settlement; none where none says anything."""
    words = [outcome.words if isinstance(outcome, Completed) else "" for outcome in outcomes]
    return words if any(words) else []


def settlement(lease: Lease, outcome: Outcome, kind: Kind[Any] | None) -> Settlement | None:
    """An outcome as `settle` takes it: None where the attempt completed."""
    if isinstance(outcome, Completed):
        return None
    if not isinstance(outcome, Retry):
        return Settlement("dead", 0, outcome.error, outcome.cause, trace=outcome.trace)
    holds = outcome.hold is not None
    return Settlement(
        "retry", round(outcome.delay * 1000), outcome.error, outcome.cause,
        outcome.uncertain, outcome.spent, (kind.channel if kind else lease.kind) if holds else None,
        round((outcome.hold or 0) * 1000), outcome.trace,
    )  # fmt: skip


def body_of(kind: Kind[Any], payload: Any, lane: Lane | None, nonce: bytes) -> bytes:
    """The caller's part of a job's record; see `record.body`."""
    plain, key = kind.pack(payload), payload.key()
    return record.body(
        kind.fingerprint(plain),
        nonce,
        LANES.index(lane or kind.lane),
        kind.backoff.attempts,
        (record.HOLD if kind.doubt == "hold" else 0) | (record.EXCLUSIVE if kind.exclusive else 0),
        kind.name.encode(),
        b"" if key is None else kind.account(key),
        kind.close(plain),
    )
