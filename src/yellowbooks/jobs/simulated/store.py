"""The commands of the server that the transitions use, over dictionaries. Times are microseconds."""

import hashlib
from collections.abc import Callable
from typing import Any

Value = bytes | dict[bytes, Any] | list[Any]


class Refused(Exception):
    """The server's error reply."""


class Stream(list[tuple[tuple[int, int], list[bytes]]]):
    """Entries of a stream, oldest first."""


class Scores(dict[bytes, float]):
    """A sorted set."""


def text(value: object) -> bytes:
    """An argument as the server sees it."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).encode()


class Store:
    """Keys and values, when they expire, and the clock."""

    def __init__(self, now: int = 1_764_000_000_000_000) -> None:
        self.values: dict[bytes, Any] = {}
        self.expires: dict[bytes, int] = {}
        self.now = now

    def copy(self) -> "Store":
        """Another store in the same state."""
        other = Store(self.now)
        other.values = {
            key: value if isinstance(value, bytes) else type(value)(value) for key, value in self.values.items()
        }
        other.expires = dict(self.expires)
        return other

    def call(self, name: str, *args: object) -> Any:
        """One command. Raises `Refused`."""
        command: Callable[..., Any] | None = getattr(self, f"do_{name.lower()}", None)
        if command is None:
            raise Refused(f"ERR unknown command '{name}' of the simulated server; add it to simulated/store.py")
        return command(*(text(arg) for arg in args))

    def _get(self, key: bytes, kind: type | tuple[type, ...]) -> Any:
        if key in self.expires and self.expires[key] <= self.now // 1000:
            self.values.pop(key, None)
            del self.expires[key]
        value = self.values.get(key)
        if value is not None and kind is not object and type(value) is not kind:
            raise Refused("WRONGTYPE Operation against a key holding the wrong kind of value")
        return value

    def _make(self, key: bytes, kind: type) -> Any:
        value = self._get(key, kind)
        if value is None:
            value = self.values[key] = kind()
        return value

    def _drop_empty(self, key: bytes) -> None:
        if not self.values.get(key, True):
            del self.values[key]

    def do_time(self) -> list[bytes]:
        """TIME."""
        return [text(self.now // 1_000_000), text(self.now % 1_000_000)]

    # Strings

    def do_get(self, key: bytes) -> bytes | None:
        """GET."""
        found: bytes | None = self._get(key, bytes)
        return found

    def do_mget(self, *keys: bytes) -> list[bytes | None]:
        """MGET."""
        return [value if isinstance(value := self.values.get(key), bytes) else None for key in keys]

    def do_mset(self, *pairs: bytes) -> str:
        """MSET."""
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            self.do_set(key, value)
        return "OK"

    def do_set(self, key: bytes, value: bytes, *options: bytes) -> str:
        """SET, with PX."""
        self.values[key] = value
        self.expires.pop(key, None)
        if options:
            self.expires[key] = self.now // 1000 + int(options[1])
        return "OK"

    def do_getrange(self, key: bytes, start: bytes, stop: bytes) -> bytes:
        """GETRANGE, from the front."""
        found: bytes = (self._get(key, bytes) or b"")[int(start) : int(stop) + 1]
        return found

    def do_setrange(self, key: bytes, start: bytes, value: bytes) -> int:
        """SETRANGE."""
        old, at = self._get(key, bytes) or b"", int(start)
        self.values[key] = old[:at].ljust(at, b"\0") + value + old[at + len(value) :]
        return len(self.values[key])

    def do_append(self, key: bytes, value: bytes) -> int:
        """APPEND."""
        self.values[key] = (self._get(key, bytes) or b"") + value
        return len(self.values[key])

    def do_strlen(self, key: bytes) -> int:
        """STRLEN."""
        return len(self._get(key, bytes) or b"")

    def do_exists(self, *keys: bytes) -> int:
        """EXISTS."""
        return sum(self._get(key, object) is not None for key in keys)

    def do_del(self, *keys: bytes) -> int:
        """DEL."""
        return self.do_unlink(*keys)

    def do_pexpire(self, key: bytes, milliseconds: bytes) -> int:
        """PEXPIRE."""
        if key not in self.values:
            return 0
        self.expires[key] = self.now // 1000 + int(milliseconds)
        return 1

    def do_hexists(self, key: bytes, field: bytes) -> int:
        """HEXISTS."""
        return int(field in (self._get(key, dict) or {}))

    def do_hincrby(self, key: bytes, field: bytes, step: bytes) -> int:
        """HINCRBY."""
        found = self._make(key, dict)
        found[field] = text(int(found.get(field, b"0")) + int(step))
        return int(found[field])

    def do_hkeys(self, key: bytes) -> list[bytes]:
        """HKEYS."""
        return list(self._get(key, dict) or {})

    def do_hlen(self, key: bytes) -> int:
        """HLEN."""
        return len(self._get(key, dict) or {})

    def do_xlen(self, key: bytes) -> int:
        """XLEN."""
        return len(self._get(key, Stream) or [])

    def do_lindex(self, key: bytes, index: bytes) -> bytes | None:
        """LINDEX, from the front."""
        found = self._get(key, list) or []
        return found[int(index)] if int(index) < len(found) else None

    def do_zscore(self, key: bytes, member: bytes) -> bytes | None:
        """ZSCORE."""
        found = self._get(key, Scores) or {}
        return text(found[member]) if member in found else None

    def do_unlink(self, *keys: bytes) -> int:
        """UNLINK."""
        for key in keys:
            self.expires.pop(key, None)
        return sum(self.values.pop(key, None) is not None for key in keys)

    # Hashes

    def do_hget(self, key: bytes, field: bytes) -> bytes | None:
        """HGET."""
        return (self._get(key, dict) or {}).get(field)

    def do_hmget(self, key: bytes, *fields: bytes) -> list[bytes | None]:
        """HMGET."""
        return [(self._get(key, dict) or {}).get(field) for field in fields]

    def do_hgetall(self, key: bytes) -> list[bytes]:
        """HGETALL."""
        return [part for pair in (self._get(key, dict) or {}).items() for part in pair]

    def do_hscan(self, key: bytes, _cursor: bytes, *_count: bytes) -> list[Any]:
        """HSCAN, all at once."""
        return [b"0", self.do_hgetall(key)]

    def do_hset(self, key: bytes, *pairs: bytes) -> int:
        """HSET."""
        self._make(key, dict).update(zip(pairs[::2], pairs[1::2], strict=True))
        return len(pairs) // 2

    def do_hsetnx(self, key: bytes, field: bytes, value: bytes) -> int:
        """HSETNX."""
        fresh = field not in self._make(key, dict)
        if fresh:
            self.values[key][field] = value
        return int(fresh)

    def do_hdel(self, key: bytes, *fields: bytes) -> int:
        """HDEL."""
        found = self._get(key, dict) or {}
        gone = sum(found.pop(field, None) is not None for field in fields)
        self._drop_empty(key)
        return gone

    # Lists

    def do_rpush(self, key: bytes, *items: bytes) -> int:
        """RPUSH."""
        self._make(key, list).extend(items)
        return len(self.values[key])

    def do_lpush(self, key: bytes, *items: bytes) -> int:
        """LPUSH."""
        found = self._make(key, list)
        found[:0] = reversed(items)
        return len(found)

    def do_lpop(self, key: bytes, count: bytes | None = None) -> Any:
        """LPOP."""
        found = self._get(key, list)
        if not found:
            return None
        taken, found[:] = found[: int(count or 1)], found[int(count or 1) :]
        self._drop_empty(key)
        return taken if count else taken[0]

    def do_llen(self, key: bytes) -> int:
        """LLEN."""
        return len(self._get(key, list) or [])

    def do_lrange(self, key: bytes, start: bytes, stop: bytes) -> list[bytes]:
        """LRANGE."""
        found = self._get(key, list) or []
        end = int(stop) + 1
        return list(found[int(start) : end or None])

    # Sorted sets

    def do_zadd(self, key: bytes, *args: bytes) -> int:
        """ZADD, with XX."""
        found, pairs = self._make(key, Scores), [arg for arg in args if arg != b"XX"]
        for score, member in zip(pairs[::2], pairs[1::2], strict=True):
            if b"XX" not in args[:1] or member in found:
                found[member] = float(score)
        self._drop_empty(key)
        return 0

    def do_zrem(self, key: bytes, *members: bytes) -> int:
        """ZREM."""
        found = self._get(key, Scores) or {}
        gone = sum(found.pop(member, None) is not None for member in members)
        self._drop_empty(key)
        return gone

    def do_zcount(self, key: bytes, low: bytes, high: bytes) -> int:
        """ZCOUNT."""
        return sum(_within(low, score, high) for score in (self._get(key, Scores) or {}).values())

    def do_zcard(self, key: bytes) -> int:
        """ZCARD."""
        return len(self._get(key, Scores) or {})

    def do_zrange(self, key: bytes, low: bytes, high: bytes, *options: bytes) -> list[bytes]:
        """ZRANGE, by index or with BYSCORE, REV, LIMIT from 0, WITHSCORES."""
        ordered = sorted((self._get(key, Scores) or {}).items(), key=lambda pair: (pair[1], pair[0]))
        if b"REV" in options:
            ordered, low, high = ordered[::-1], high, low
        if b"BYSCORE" in options:
            ordered = [pair for pair in ordered if _within(low, pair[1], high)]
        else:
            ordered = ordered[int(low) : int(high) + 1 or None]
        if b"LIMIT" in options:
            ordered = ordered[: int(options[options.index(b"LIMIT") + 2])]
        if b"WITHSCORES" in options:
            return [part for member, score in ordered for part in (member, text(score))]
        return [member for member, _ in ordered]

    # Streams

    def do_xadd(self, key: bytes, position: bytes, *fields: bytes) -> bytes:
        """XADD, with a position of the caller's."""
        found = self._make(key, Stream)
        ms, seq = (int(part) for part in position.split(b"-"))
        if found and found[-1][0] >= (ms, seq):
            raise Refused("ERR The ID specified in XADD is equal or smaller than the target stream top item")
        found.append(((ms, seq), list(fields)))
        return position

    def do_xtrim(self, key: bytes, _minid: bytes, position: bytes) -> int:
        """XTRIM MINID."""
        least = tuple(int(part) for part in position.split(b"-"))
        found = self._get(key, Stream)
        if found:
            found[:] = [entry for entry in found if entry[0] >= least]
        return 0

    def do_xrevrange(self, key: bytes, _from: bytes, _to: bytes, *_count: bytes) -> list[Any]:
        """XREVRANGE of one."""
        found = self._get(key, Stream) or []
        return [[b"%d-%d" % entry[0], entry[1]] for entry in found[-1:]]


def _within(low: bytes, score: float, high: bytes) -> bool:
    """Whether a score is within two bounds; `(` before one leaves it out."""
    least, most = (float(bound.lstrip(b"(")) for bound in (low, high))
    return (least < score if low[:1] == b"(" else least <= score) and (
        score < most if high[:1] == b"(" else score <= most
    )


def sha1hex(value: bytes) -> bytes:
    """What `redis.sha1hex` gives."""
    return hashlib.sha1(value, usedforsecurity=False).hexdigest().encode()
