"""How often each may ask: one number an address or a key, for a bounded number of them. Pure, in this process alone."""

import hashlib
import os
from collections import OrderedDict

MOST = 50_000  # addresses, or keys, that are remembered; some 10 MB


class Rates:
    """A token bucket for each name: `count` requests at once, and as many again in `seconds`.

    It is kept as the time when the bucket will be full again (GCRA, ITU-T I.371). Beyond `most` names the one that
    asked least lately is forgotten: who comes from so many addresses is bounded by what bounds all.
    """

    def __init__(self, count: int, seconds: float, most: int = MOST) -> None:
        self._step = seconds / count
        self._depth = seconds
        self._most = most
        self._full: OrderedDict[str | bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full)

    def take(self, name: str | bytes, now: float) -> float:
        """Ask once, at a time (s, monotonic): 0 where it is granted, else how long (s) to wait. A refusal is free."""
        full = max(self._full.get(name, now), now) + self._step
        over = full - now - self._depth
        if over > 1e-9:
            return over
        self._full[name] = full
        self._full.move_to_end(name)
        if len(self._full) > self._most:
            self._full.popitem(last=False)
        return 0.0


class Known:
    """Keys that were right a short while ago, by a digest that this process alone can make."""

    def __init__(self, seconds: float = 60.0, most: int = MOST) -> None:
        self._seconds, self._most = seconds, most
        self._pepper = os.urandom(32)
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def digest(self, field: bytes) -> bytes:
        """What a key is known by: `field` is all of the Authorization field."""
        return hashlib.blake2b(field, key=self._pepper, digest_size=16).digest()

    def has(self, digest: bytes, now: float) -> bool:
        """Whether it was right lately."""
        return self._until.get(digest, 0.0) > now

    def learn(self, digest: bytes, now: float) -> None:
        """It was right."""
        self._until[digest] = now + self._seconds
        self._until.move_to_end(digest)
        if len(self._until) > self._most:
            self._until.popitem(last=False)
