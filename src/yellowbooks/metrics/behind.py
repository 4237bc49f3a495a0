"""How far the job log is behind the queue, and what the queue could not keep for it."""

from collections import Counter

from yellowbooks.jobs import Queue

SHED = ("entries", "jobs", "payloads")  # fields of `<tag>:shed`
DRIFT = ("only_log", "differ")  # fields of `<tag>:drift`


async def lag(part: Queue) -> tuple[int, float]:
    """How many entries of events the job log lacks, and how old (s) the oldest is. Raises `QueueUnavailable`."""
    link, key = part.link, f"{part.tag}:events"
    count = await link.reach(lambda: link.client.xlen(key))
    oldest = await link.reach(lambda: link.client.xrange(key, count=1))
    if not oldest:
        return 0, 0.0
    seconds, micros = await link.reach(link.client.time)
    return count, max(0.0, seconds + micros / 1e6 - int(oldest[0][0].split(b"-")[0]) / 1000)


async def shed(part: Queue) -> "Counter[str]":
    """What left before the job log had it; see `shed.lua`. Raises `QueueUnavailable`."""
    return await _fields(part, "shed", SHED)


async def drift(part: Queue) -> "Counter[str]":
    """Jobs of which the queue and the log tell different things, when somebody last compared. Raises as above."""
    return await _fields(part, "drift", DRIFT)


async def _fields(part: Queue, name: str, fields: tuple[str, ...]) -> "Counter[str]":
    counts = await part.link.execute("HMGET", f"{part.tag}:{name}", *fields)
    return Counter({field: int(count or 0) for field, count in zip(fields, counts, strict=True)})
