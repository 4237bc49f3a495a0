"""After a new key: payloads that an older one sealed, or none, are sealed with the first."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from yellowbooks.jobs import record
from yellowbooks.jobs.batch import MOST_ITEMS
from yellowbooks.jobs.kind import Kind
from yellowbooks.jobs.outcome import Failure
from yellowbooks.jobs.partitions import parts_of
from yellowbooks.jobs.queue import Queue

SCANNED = 1000  # keys that one step of the walk looks at


async def reseal(queue: Queue, kinds: Sequence[Kind[Any]]) -> dict[str, int]:
    """Seal anew what waits, runs or is dead, of these kinds: how many «resealed», «current» and «unreadable».

    Jobs go on meanwhile; one that changed under it is looked at again by the next call. Raises `QueueUnavailable`.
    """
    counts = {"resealed": 0, "current": 0, "changed": 0, "unreadable": 0}
    known = {kind.name: kind for kind in kinds}
    for part in parts_of(queue):
        await _of_one(part, known, counts)
    return counts


async def _of_one(part: Queue, kinds: dict[str, Kind[Any]], counts: dict[str, int]) -> None:
    client, prefix, cursor = part.link.client, f"{part.tag}:job:", 0
    while True:
        walk = partial(client.scan, cursor, match=f"{prefix}*", count=SCANNED)
        cursor, keys = await part.link.reach(walk)
        for some in (keys[n : n + MOST_ITEMS] for n in range(0, len(keys), MOST_ITEMS)):
            raws = await part.link.reach(partial(client.mget, some))
            ids = [key.decode().removeprefix(prefix) for key in some]
            wanted = [(one, *pair) for one, raw in zip(ids, raws, strict=True) if (pair := _anew(raw, kinds, counts))]
            for answer in await part.reseal(wanted) if wanted else ():
                counts[answer] += 1
        if not cursor:
            return


def _anew(raw: bytes | None, kinds: dict[str, Kind[Any]], counts: dict[str, int]) -> tuple[bytes, bytes] | None:
    """The payload as it stands and sealed with the first key, where that is not the same."""
    found = record.parse(raw or b"")
    kind = kinds.get(found.kind) if found else None
    if not found or not found.payload or not kind:
        return None
    if kind.is_current(found.payload):
        counts["current"] += 1
        return None
    try:
        return found.payload, kind.close(kind.open(found.payload))
    except Failure:
        counts["unreadable"] += 1
        return None
