"""Where counts are kept: beside the queue, so that they are one for all processes and outlive each of them.

Keys, under the tag of a partition: `<tag>:tally`, a hash of field and count, whose field «» is the position of the last
event that it has; `<tag>:tally:<minute>`, the same of one minute, for a day.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from yellowbooks.jobs import Queue, parts_of
from yellowbooks.metrics.fold import Tally

KEPT_SECONDS = 26 * 3600
MOST_MINUTES = 60 * 25

# Adds to all keys where the first still ends at the position that was counted from; else it changes nothing. Gives the
# position where it stands then, so that a repeated call is answered as the first was.
_ADD = """#!lua flags=allow-oom
local stands = redis.call('HGET', KEYS[1], '') or ''
if stands ~= ARGV[1] then return stands end
for i, key in ipairs(KEYS) do
  local counts = cmsgpack.unpack(ARGV[3 + i])
  for n = 1, #counts, 2 do redis.call('HINCRBY', key, counts[n], counts[n + 1]) end
  if i > 1 then redis.call('EXPIRE', key, ARGV[3]) end
end
redis.call('HSET', KEYS[1], '', ARGV[2])
return ARGV[2]
"""


class Store:
    """The counts of one partition. Every method raises `QueueUnavailable` where its server is away."""

    def __init__(self, part: Queue) -> None:
        self._link = part.link
        self._key = f"{part.tag}:tally"

    async def position(self) -> str:
        """Where the counts end; "" where nothing was counted yet."""
        found: bytes | None = await self._link.execute("HGET", self._key, "")
        return (found or b"").decode()

    async def add(self, after: str, until: str, whole: Tally, minutes: Mapping[int, Tally]) -> str:
        """Add what happened between two positions, where the counts end at the first; gives where they end now."""
        keys = [self._key, *(f"{self._key}:{minute}" for minute in minutes)]
        counts = [_packed(tally) for tally in (whole, *minutes.values())]
        stands: bytes = await self._link.execute("EVAL", _ADD, len(keys), *keys, after, until, KEPT_SECONDS, *counts)
        return stands.decode()

    async def bump(self, counts: Mapping[str, int]) -> None:
        """Add to fields that no event tells of."""
        await self._link.execute("EVAL", _BUMP, 1, self._key, *(word for pair in counts.items() for word in pair))

    async def whole(self) -> Tally:
        """All that was counted."""
        return _unpacked(await self._link.execute("HGETALL", self._key))

    async def minutes(self, first: int, last: int) -> dict[int, Tally]:
        """What was counted in these minutes (since 1970), both included; at most 25 hours of them."""
        numbers = range(max(first, last - MOST_MINUTES + 1), last + 1)
        return {n: _unpacked(await self._link.execute("HGETALL", f"{self._key}:{n}")) for n in numbers}


_BUMP = """#!lua flags=allow-oom
for n = 1, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[n], ARGV[n + 1]) end
"""


async def recent(queue: Queue, minutes: int) -> Tally:
    """What happened within so many minutes and the one that runs, in all partitions. Raises `QueueUnavailable`."""
    now = int(time.time()) // 60
    found = Tally()
    for part in parts_of(queue):
        for tally in (await Store(part).minutes(now - minutes, now)).values():
            found += tally
    return found


def _packed(tally: Tally) -> bytes:
    return msgspec.msgpack.encode([word for pair in tally.counts.items() if pair[1] for word in pair])


def _unpacked(pairs: Any) -> Tally:
    if isinstance(pairs, dict):
        pairs = [word for pair in pairs.items() for word in pair]
    return Tally(dict(_fields(pairs)))


def _fields(pairs: list[bytes]) -> Iterable[tuple[str, int]]:
    for n in range(0, len(pairs), 2):
        if pairs[n]:
            yield pairs[n].decode(), int(pairs[n + 1])
