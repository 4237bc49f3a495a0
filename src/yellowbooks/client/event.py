"""What is handed over: a job's payload as JSON, its id, and its form on disk. Pure."""

import json
import re
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Required, TypedDict, Unpack

from yellowbooks.spool import LONGEST_RECORD, Place

SIGN_IN = "signin-notification"
# A sign-in is told of without them: whoever signs in chooses some, and must not stop the mail by a wrong one.
_OPTIONAL = {
    "name": "name", "ip_address": "ipAddress", "user_agent": "userAgent", "locale": "locale", "time_zone": "timeZone",
}  # fmt: skip
OPTIONAL = {*_OPTIONAL.values(), "timestamp"}
_LONGEST = {"name": 256, "userAgent": 4096}
_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+-]{0,127}")
_KIND = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(slots=True, eq=False)
class Item:
    """One job on its way. `since` is of this process's clock (s); `place` says where it is on disk, if it is."""

    kind: str
    job_id: str
    body: bytes
    put: float = field(default_factory=time.time)  # Unix time, s
    since: float = field(default_factory=time.monotonic)
    place: Place | None = None
    kept: "Future[str] | None" = None
    moving: bool = False  # the keeper is writing it
    aside: bool = False  # it waits for a time of its own
    done: bool = False

    def encode(self) -> bytes:
        """The record for the spool."""
        return f"{self.kind}\n{self.job_id}\n{self.put:.3f}\n".encode() + self.body


def decode(record: bytes, place: Place) -> Item | None:
    """An item from its record; None where the record is no such thing."""
    try:
        kind, job_id, put, body = record.split(b"\n", 3)
        return Item(kind.decode(), job_id.decode(), body, put=float(put), place=place)
    except ValueError:
        return None


def item(kind: str, payload: Mapping[str, Any], job_id: str) -> Item:
    """A job to hand over. Raises `ValueError` and `TypeError` that name what is wrong with it."""
    if not _KIND.fullmatch(kind):
        raise ValueError(f"«{kind[:64]}» is no kind of job; for example {SIGN_IN}")
    if not _JOB_ID.fullmatch(job_id):
        raise ValueError("a job's id is 1 to 128 letters, digits or . _ : @ + - and begins with a letter or digit")
    body = json.dumps({**payload, "jobId": job_id}, separators=(",", ":"), allow_nan=False).encode()
    if len(body) > LONGEST_RECORD - 512:
        raise ValueError(f"the payload has {len(body)} bytes; the API takes at most 65536")
    return Item(kind, job_id, body)


class SignIn(TypedDict, total=False):
    """Who signed in: `user_id`, `email` and `provider` are needed."""

    user_id: Required[object]
    email: Required[str]
    provider: Required[str]
    name: str | None
    ip_address: str | None
    user_agent: str | None
    timestamp: datetime | None
    locale: str | None
    time_zone: str | None


def sign_in(**who: Unpack[SignIn]) -> dict[str, Any]:
    """The payload of a sign-in; `timestamp` is now where it is left out. Raises `ValueError` where it names nobody."""
    unknown = who.keys() - SignIn.__annotations__.keys()
    if unknown:
        raise TypeError(f"a sign-in has no {', '.join(sorted(unknown))}; it has {', '.join(SignIn.__annotations__)}")
    if who.get("user_id") is None or not who.get("email") or not who.get("provider"):
        raise ValueError("a sign-in needs user_id, email and provider")
    at = who.get("timestamp") or datetime.now(UTC)
    if at.tzinfo is None:
        raise ValueError("the timestamp has no time zone; for example datetime.now(UTC)")
    optional = {wire: str(who.get(own) or "")[: _LONGEST.get(wire, 256)] for own, wire in _OPTIONAL.items()}
    return {
        "userId": str(who["user_id"]),
        "email": who["email"],
        "provider": who["provider"],
        "timestamp": at.isoformat(timespec="milliseconds"),
        **{wire: value for wire, value in optional.items() if value},
    }


def trimmed(item: Item, fields: Iterable[str]) -> bytes | None:
    """The body without fields that were refused; None where one of them is needed, or none is there."""
    fields = set(fields)
    if item.kind != SIGN_IN or not fields or not fields <= OPTIONAL:
        return None
    payload = json.loads(item.body)
    left = {key: value for key, value in payload.items() if key not in fields}
    return json.dumps(left, separators=(",", ":")).encode() if left != payload else None
