"""What the operators' routes stand on; handed in by the wiring."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec
from litestar.exceptions import HTTPException

from yellowbooks.jobs import Failure, Kind, Queue, QueueUnavailable

if TYPE_CHECKING:
    from yellowbooks.joblog import JobLog

R = TypeVar("R")


class Log(Protocol):
    """The job log: `ask` runs work on it in a thread. Raises `ConnectionError` where its database is away."""

    def ask(self, work: "Callable[[JobLog], R]") -> Awaitable[R]:
        """What the work gives."""
        ...


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail as its reader sees it."""

    message_id: str
    subject: str
    text: str
    html: str


class Mails(Protocol):
    """Shows mails: blocking, so called in a thread."""

    def write(self, job_id: str, created: int, payload: Any) -> Rendered | None:
        """The mail of a payload, of a job that was admitted at `created` (ms since 1970); None where it makes none."""
        ...

    def kept(self, message_id: str) -> Rendered | None:
        """A mail that was kept when it was sent; None where it was not."""
        ...


class NoMails:
    """No job here has a mail."""

    def write(self, _job_id: str, _created: int, _payload: Any) -> Rendered | None:
        """None."""
        return None

    def kept(self, _message_id: str) -> Rendered | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The parts behind the operators' routes."""

    queue: Queue
    log: Log
    kinds: Mapping[str, Kind[Any]] = field(default_factory=dict)
    mails: Mails = field(default_factory=NoMails)

    async def ask(self, work: "Callable[[JobLog], R]") -> R:
        """What the log answers. Raises an HTTP 503 that says why where it is away."""
        try:
            return await self.log.ask(work)
        except ConnectionError as error:
            raise HTTPException(str(error), status_code=503, headers={"Retry-After": "5"}) from error

    async def payloads(self, job_ids: list[str]) -> dict[str, tuple[Kind[Any], Any]]:
        """Kind and payload of those jobs that have one that can be read here; nothing where the queue is away."""
        try:
            stored = await self.queue.stored(job_ids)
        except QueueUnavailable:
            return {}
        found: dict[str, tuple[Kind[Any], Any]] = {}
        for job_id, one in zip(job_ids, stored, strict=True):
            kind = self.kinds.get(one[0]) if one else None
            if one and kind:
                with contextlib.suppress(Failure):  # another version's, or spoilt: then it is not shown
                    found[job_id] = kind, kind.decode(one[1])
        return found


def masked(kind: Kind[Any], payload: Any) -> dict[str, Any]:
    """The payload with what is personal made unreadable; all of it, where the kind does not say what is."""
    if kind.finder:
        return dict(kind.finder.masked(payload))
    return {name: None if value is None else "•••" for name, value in _plain(payload).items()}


def _plain(payload: Any) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(payload)
    return plain
