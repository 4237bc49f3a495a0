"""The jobs that are about somebody: found by what their payloads say, and by the account where that is gone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from yellowbooks.jobs import record
from yellowbooks.jobs.batch import MOST_ITEMS
from yellowbooks.jobs.kind import Kind, Payload
from yellowbooks.jobs.outcome import Failure
from yellowbooks.jobs.partitions import parts_of
from yellowbooks.jobs.queue import Queue

SCANNED = 1000  # keys that one step of the walk looks at
ACCOUNT_HEAD = 7  # bytes of an account before its times; see `admit.lua`


_ANY_HEAD = record.HEAD.pack(record.VERSION, record.ENQUEUED, 0, 0, record.NO_TOKEN, *(bytes(6),) * 2, 0, 0, 0, 0,
                             *(bytes(6),) * 2)  # fmt: skip


@dataclass(slots=True)
class About:
    """What a walk found: each job by its id with its payload (None: ended, and so without), and whose payloads could
    not be read, with why."""

    jobs: dict[str, Payload | None] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


async def find_about(
    queue: Queue, kinds: Sequence[Kind[Any]], wanted: Mapping[str, str], ids: Sequence[str] = ()
) -> About:
    """The jobs about whoever is `wanted` (such as {"user": "u1"}), and those of `ids` that the queue still knows.

    It looks at every job while jobs go on; one that comes meanwhile may be missed. Raises `QueueUnavailable`.
    """
    known, found = {kind.name: kind for kind in kinds}, About()
    accounts = accounts_of(kinds, wanted)
    for part in parts_of(queue):
        client, prefix, cursor = part.link.client, f"{part.tag}:job:", 0
        while True:
            cursor, keys = await part.link.reach(partial(client.scan, cursor, match=f"{prefix}*", count=SCANNED))
            for some in (keys[n : n + MOST_ITEMS] for n in range(0, len(keys), MOST_ITEMS)):
                for key, raw in zip(some, await part.link.reach(partial(client.mget, some)), strict=True):
                    job_id = key.decode("utf-8", "replace").removeprefix(prefix)
                    _look(job_id, raw or b"", known, wanted, accounts, job_id in ids, found)
            if not cursor:
                break
    return found


def accounts_of(kinds: Sequence[Kind[Any]], wanted: Mapping[str, str]) -> list[str]:
    """The names under which the queue counts a user."""
    return [kind.account(wanted["user"]).decode() for kind in kinds] if "user" in wanted else []


def look_at_bodies(
    bodies: Mapping[str, bytes], kinds: Sequence[Kind[Any]], wanted: Mapping[str, str], found: About
) -> None:
    """The same of what callers sent (see `Queue.bodies`), by job id; what is found is added."""
    known, accounts = {kind.name: kind for kind in kinds}, accounts_of(kinds, wanted)
    for job_id, body in bodies.items():
        _look(job_id, _ANY_HEAD + body, known, wanted, accounts, False, found)


async def accounts_about(queue: Queue, kinds: Sequence[Kind[Any]], wanted: Mapping[str, str]) -> dict[str, list[int]]:
    """What the queue counts of a user, by kind: when (ms) his newest jobs were admitted. Raises `QueueUnavailable`."""
    found: dict[str, list[int]] = {}
    for part in parts_of(queue):
        for kind, account in zip(kinds, accounts_of(kinds, wanted), strict=False):  # no user, no account
            keys = [f"{part.tag}:user:{account}", f"{part.tag}:unique:{account}"]
            for stored in await part.link.reach(partial(part.link.client.mget, keys)):
                if stored is not None:
                    times = stored[ACCOUNT_HEAD:]
                    found.setdefault(kind.name, []).extend(
                        int.from_bytes(times[n : n + 6], "big") for n in range(0, len(times) - 5, 6)
                    )
                    break
    return found


def _look(
    job_id: str, raw: bytes, kinds: Mapping[str, Kind[Any]], wanted: Mapping[str, str], accounts: Sequence[str],
    named: bool, found: About,
) -> None:  # fmt: skip
    one = record.parse(raw)
    if one is None:
        if raw:
            found.unread[job_id] = "its record cannot be read; see the quarantine"
        return
    payload: Payload | None = None
    try:
        if one.payload:
            payload = _read(one, kinds)
    except Failure as error:
        found.unread[job_id] = str(error)
    if named or one.account in accounts or (payload and fits(payload, wanted)):
        found.jobs[job_id] = payload


def _read(one: record.Record, kinds: Mapping[str, Kind[Any]]) -> Payload:
    if one.kind not in kinds:
        raise Failure(f"the kind {one.kind} is not known here; name its module in YB_KINDS")
    payload: Payload = kinds[one.kind].decode(one.payload)
    return payload


def fits(payload: Payload, wanted: Mapping[str, str]) -> bool:
    """Whether a payload is about whoever is wanted."""
    about = payload.about()
    return any(about.get(word) == value for word, value in wanted.items())
