"""What a job carries: read for an operator who edits it or must see it."""

from collections.abc import Sequence
from typing import Any

from yellowbooks.jobs import record
from yellowbooks.jobs.kind import Kind, Payload
from yellowbooks.jobs.outcome import Unknown
from yellowbooks.jobs.partitions import parts_of
from yellowbooks.jobs.queue import Queue


async def payload_of(queue: Queue, kinds: Sequence[Kind[Any]], job_id: str) -> tuple[Kind[Any], Payload] | None:
    """The kind and the payload of a job; None where the queue does not know it, or it ended and dropped its payload.

    Raises `Unknown` where its kind or version is not known here, `Unreadable` where it is spoilt.
    """
    for part in parts_of(queue):
        found = record.parse(await _stored(part, job_id) or b"")
        if found and found.payload:
            kind = next((one for one in kinds if one.name == found.kind), None)
            if kind is None:
                raise Unknown(f"the kind {found.kind} is not known here; name its module in YB_KINDS")
            return kind, kind.decode(found.payload)
    return None


async def _stored(part: Queue, job_id: str) -> bytes | None:
    raw: bytes | None = await part.link.reach(lambda: part.link.client.get(f"{part.tag}:job:{job_id}"))
    return raw
