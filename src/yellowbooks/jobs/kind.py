"""A kind of job: its payload, its limits and its handler. A new kind is one object in one file."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

import msgspec

from yellowbooks.jobs.backoff import Backoff
from yellowbooks.jobs.finder import Finder
from yellowbooks.jobs.hiding import texts_in
from yellowbooks.jobs.lease import Lease
from yellowbooks.jobs.outcome import Doubt, Rules, Unknown, Unreadable
from yellowbooks.jobs.reading import repeated, why_unread
from yellowbooks.jobs.seal import MARK, Broken, Seal, UnknownKey
from yellowbooks.jobs.stored import Stored

JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}")
REQUEST_NAME = re.compile(r"[A-Za-z0-9._:/+=-]{1,64}")  # without an @: it is shown to whoever operates
LANES = ("high", "normal", "low")
Lane = Literal["high", "normal", "low"]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request: the field as the caller spells it, and why."""

    field: str
    why: str


class Invalid(Exception):
    """A payload that cannot be taken; `faults` names each field and why."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{f.field}: {f.why}" for f in self.faults))


class Payload(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """What a caller sends for one job. Subclass it and add fields; they are camelCase in JSON.

    `job_id` names the job: the same id within 7 days is the same job. Without it a new id is made.
    """

    job_id: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": f"^{JOB_ID.pattern}$"})] | None = None

    def faults(self) -> Iterable[Fault]:
        """What is wrong beyond the types of the fields; nothing, unless a kind says so."""
        return ()

    def dated(self, at: int) -> Self:  # noqa: ARG002  those that show a time use it
        """The same request as it stands where it gets into the queue later than it was taken in (`at`, ms since 1970).

        A kind that shows when something happened, and takes the time of its admission for it, says it here.
        """
        return self

    def key(self) -> str | None:
        """Whom the rate limit counts (a user, say); None where nobody is counted."""
        return None

    def private(self) -> Iterable[str]:
        """What must not stand in words about the job (errors, its history, logs): every text, or what a kind says."""
        return texts_in(self)

    def about(self) -> Mapping[str, str]:
        """Whom the job is about: «user» and «address», as far as it names them. What `yellowbooks export` and `erase`
        go by."""
        key = self.key()
        return {} if key is None else {"user": key}


P = TypeVar("P", bound=Payload)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` jobs a key in any `window` seconds."""

    limit: int
    window: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """Dead jobs of these causes run again by themselves once jobs of their channel succeed again.

    `causes` are the beginnings of causes; they leave the dead letter queue at `pace` jobs a second, each at most
    `times` times.
    """

    causes: tuple[str, ...]
    pace: float = 10.0
    times: int = 3


async def unhandled(_lease: Lease, _payload: Any) -> None:
    """The handler of a process that only admits: it never claims, so this is never reached."""
    raise NotImplementedError("this process only admits jobs; start a worker to run them")


@dataclass(frozen=True, slots=True)
class Kind(Generic[P]):
    """A kind of job. `name` is its path in the API and its word in the record.

    `handler` is a coroutine function, or a plain one, which runs in a thread. `rate` bounds what a key may bring in,
    `quota` what may leave through `channel` (the kind's own name, or one that several kinds share), over all workers.
    `unique` takes one job a key within so many seconds; `exclusive` runs one job a key at a time. `time_limit` (s)
    ends an attempt; `deadline` (s) is how old a job may get by being put off. `doubt` says what happens when a worker
    was lost after the commit: see `outcome.Uncertain`. `recovers` names causes of death that pass by themselves.
    A handler that returns text says it in the job's history. `finder` says what jobs are found by, and what is masked.
    With `seal` the queue's server never sees a payload; what was stored without one is read all the same.
    """

    name: str
    payload: type[P]
    handler: Callable[[Any, P], Any] = unhandled
    rate: Rate | None = None
    backoff: Backoff = field(default_factory=Backoff)
    doubt: Doubt = "resend_once"
    lane: Lane = "normal"
    channel: str = ""
    quota: Rate | None = None
    unique: float | None = None
    exclusive: bool = False
    time_limit: float | None = None
    deadline: float = 86_400.0
    recovers: Recovery | None = None
    finder: Finder[Any] | None = None
    seal: Seal | None = None
    _stored: Stored[P] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9-]{0,63}", self.name):
            raise ValueError(f"{self.name!r} is no name of a kind; use up to 64 of a-z, 0-9 and -, such as order-paid")
        object.__setattr__(self, "channel", self.channel or self.name)
        object.__setattr__(self, "_stored", Stored(self.payload))

    @property
    def rules(self) -> Rules:
        """What `decide` needs."""
        return Rules(self.backoff, self.doubt, self.deadline)

    def parse(self, body: bytes) -> P:
        """Read a JSON body. Raises `Invalid`, whatever the bytes."""
        try:
            payload = msgspec.json.decode(body, type=self.payload)
            twice = repeated(body)
        except msgspec.ValidationError as error:
            raise Invalid([_fault_of(str(error))]) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Invalid([Fault("body", why_unread(body, error))]) from None
        if twice:
            raise Invalid([Fault(twice, "stands there twice; send it once")])
        faults = [*_job_id_faults(payload.job_id), *payload.faults()]
        if faults:
            raise Invalid(faults)
        return payload

    def pack(self, payload: P) -> bytes:
        """The payload as bytes; see `Stored`."""
        return self._stored.encode(payload)

    def encode(self, payload: P) -> bytes:
        """The payload as it stands in a record."""
        return self.close(self.pack(payload))

    def fingerprint(self, plain: bytes) -> bytes:
        """A hash of the request, eight bytes, equal for equal requests; without a seal it is no secret."""
        if self.seal is None:
            return hashlib.sha1(plain, usedforsecurity=False).digest()[:8]
        return hashlib.blake2b(plain, key=self.seal.secret, digest_size=8).digest()

    def decode(self, stored: bytes) -> P:
        """The payload of a stored record. Raises `Unknown` (another version's) or `Unreadable` (spoilt)."""
        return self._stored.decode(self.name, self.open(stored))

    def close(self, plain: bytes) -> bytes:
        """The payload with its seal, where there is one."""
        return MARK + self.seal.close(plain, self.name.encode()) if self.seal else plain

    def open(self, stored: bytes) -> bytes:
        """The payload without its seal. Raises `Unknown` (a key that is not here) or `Unreadable` (spoilt)."""
        if stored[:2] != MARK:
            return stored
        if self.seal is None:
            raise Unknown("the payload is sealed and no key is here; set YB_SECRET_KEYS")
        try:
            return self.seal.open(stored[2:], self.name.encode())
        except UnknownKey as error:
            raise Unknown(f"the payload is sealed with the key {error}, which is not in YB_SECRET_KEYS") from None
        except Broken:
            raise Unreadable("the seal is broken: no key of YB_SECRET_KEYS sealed this payload as it is") from None

    def is_current(self, stored: bytes) -> bool:
        """Whether a stored payload has the seal that it would have now."""
        if self.seal is None:
            return stored[:2] != MARK
        return stored[:2] == MARK and self.seal.is_current(stored[2:])

    def account(self, key: str) -> bytes:
        """The name of one key's account: a hash, so that no user id stands in a key's name."""
        secret = self.seal.secret if self.seal else b""
        digest = hashlib.blake2b(f"{self.name}\0{key}".encode(), key=secret, digest_size=9).digest()
        return base64.urlsafe_b64encode(digest)


def _job_id_faults(job_id: str | None) -> Iterable[Fault]:
    if job_id is not None and not JOB_ID.fullmatch(job_id):
        yield Fault("jobId", "must be 1 to 128 letters, digits or . _ : @ + - and begin with a letter or digit")


def _fault_of(message: str) -> Fault:
    """Turn msgspec's «Expected `str`, got `int` - at `$.userId`» into a field and a reason."""
    unknown = re.search(r"unknown field `(.*?)`", message)
    if unknown:
        return Fault(unknown[1], "is not a field of this request; remove it")
    missing = re.search(r"missing required field `(.*?)`", message)
    if missing:
        return Fault(missing[1], "is required")
    reason, _, path = message.partition(" - at `$")
    return Fault(path.strip("`.") or "body", reason.replace("`", "")[:1].lower() + reason.replace("`", "")[1:])
