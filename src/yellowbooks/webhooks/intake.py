"""One request of one source: proved, parted into events, each read, and the sign-ins among them made jobs."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from yellowbooks.jobs import REQUEST_NAME, Fault, Invalid, QueueUnavailable, Receipt
from yellowbooks.signin import SignIn
from yellowbooks.webhooks.body import Body, objects
from yellowbooks.webhooks.normal import Ignored, passed_over, sign_in
from yellowbooks.webhooks.schemes import Forged, Sent
from yellowbooks.webhooks.sources import Source

MOST_EVENTS = 1000
PATIENCE_SECONDS = 2.0
"""How long the queue may take where a sign-in waits for the answer; Supabase gives its hooks five."""

Admit = Callable[[SignIn, str | None], Awaitable[tuple[str, Receipt]]]
"""Takes a sign-in in; the second is the name of the request, by which the job log finds the job."""

NAMES = ("x-request-id", "webhook-id", "svix-id")
Tell = Callable[..., None]
Refuse = Callable[[str], None]
"""Hears of each event that made no job though it was a sign-in, or may have been one: why, in one word."""

UNMADE = frozenset({"duplicate", "limited", "full", "invalid"})


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one event. `why` of those that made no job; `dropped`: fields that a mail cannot show."""

    status: Literal["enqueued", "duplicate", "ignored", "limited", "full", "invalid"]
    job_id: str | None = None
    why: str | None = None
    dropped: Sequence[str] = ()
    faults: Sequence[Fault] = ()

    def view(self) -> dict[str, Any]:
        """As the answer shows it."""
        errors = [{"field": fault.field, "why": fault.why} for fault in self.faults]
        shown = {"status": self.status, "jobId": self.job_id, "why": self.why, "dropped": list(self.dropped)}
        return {name: value for name, value in (shown | {"errors": errors}).items() if value}


class Intake:
    """Takes the requests of one source whose secrets (`keys`) are known."""

    def __init__(
        self, name: str, source: Source, keys: Sequence[bytes], admit: Admit, tell: Tell, refuse: Refuse
    ) -> None:
        self.name = name
        self._refuse = refuse
        self._source = source
        self._keys = keys
        self._admit = admit
        self._tell = tell

    def prove(self, sent: Sent) -> None:
        """Raises `Forged` where no known secret made this request."""
        try:
            self._source.scheme.verify(sent, self._keys)
        except Forged:
            self._refuse("unauthorized")
            raise

    async def take(self, sent: Sent) -> list[Item]:
        """Every event of a request, in order. Raises `Invalid` where it is no JSON of the source's form at all, and
        `QueueUnavailable`."""
        moment = datetime.fromtimestamp(sent.at, UTC)
        items = await asyncio.gather(
            *(self._event(event, moment, _name_of(sent)) for event in parted(sent.body, batch=self._source.batch))
        )
        for item in items:
            if item.status in UNMADE:
                self._refuse(item.status)
            if item.status in ("limited", "invalid"):
                # The reasons may hold a part of an address, and a log must not.
                paths = ", ".join(fault.field for fault in item.faults)
                self._tell("missed", source=self.name, why=f"cannot be used: {paths}" if paths else item.why)
        return items

    async def hear(self, sent: Sent) -> dict[str, Any] | None:
        """For a source whose sign-in waits for the answer: takes the event, and gives that answer whatever went wrong;
        None where the source waits for none."""
        if self._source.answer is None:
            return None
        [event] = parted(sent.body, batch=False)
        waited_for = self._source.answer(event)
        if waited_for is None:
            return None
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                [item] = await self.take(sent)
            if item.status == "full":
                self._tell("missed", source=self.name, why="too many jobs are waiting; start more workers")
        except (QueueUnavailable, TimeoutError) as error:
            self._tell("missed", source=self.name, why=f"the queue is away: {error}")
        return waited_for

    async def _event(self, event: Body, now: datetime, request: str | None) -> Item:
        try:
            found = self._source.read(event)
            ignored = found if isinstance(found, Ignored) else passed_over(found, now)
            if ignored is not None:
                if ignored.missed:
                    self._tell("missed", source=self.name, why=ignored.why)
                return Item("ignored", why=ignored.why)
            # For the type checker: what is ignored has returned.
            assert not isinstance(found, Ignored)  # noqa: S101  # nosec B101 # as above
            payload, dropped = sign_in(self.name, found)
        except Invalid as error:
            return Item("invalid", faults=error.faults)
        try:
            job_id, receipt = await self._admit(payload, request)
        except QueueUnavailable:
            self._refuse("unavailable")
            raise
        if receipt.word == "seen":
            return Item("duplicate", receipt.first or job_id)
        if receipt.word == "limited":
            return Item("limited", why="this user has had as many mails as an hour may bring")
        if receipt.word == "full":
            return Item("full")
        return Item("enqueued", job_id, dropped=dropped)


def _name_of(sent: Sent) -> str | None:
    """What the sender calls this request, where that may be shown to whoever operates: no address is in it."""
    given = next((sent.headers[name] for name in NAMES if name in sent.headers), "")
    return given if REQUEST_NAME.fullmatch(given) else None


def parted(body: bytes, *, batch: bool) -> list[Body]:
    """The events of a request: one JSON object, or for a batch also a list of them or one a line. Raises `Invalid`."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not batch or b"\n" not in body.strip():
            raise Invalid([Fault("body", f"is not JSON ({error})")]) from None
        value = list(_lines(body))
    if batch and isinstance(value, list):
        if len(value) > MOST_EVENTS:
            raise Invalid([Fault("body", f"holds more than {MOST_EVENTS} events; send smaller batches")])
        return list(objects(value))
    if not isinstance(value, dict):
        raise Invalid([Fault("body", "is no JSON object")])
    return [Body(value)]


def _lines(body: bytes) -> Iterator[Any]:
    for number, line in enumerate(body.splitlines(), 1):
        if line.strip():
            try:
                yield msgspec.json.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise Invalid([Fault(f"body, line {number}", f"is not JSON ({error})")]) from None
