"""How often somebody may be wrong about a key when he signs in."""

import time
from collections import deque
from collections.abc import Callable

from yellowbooks.addresses import read_address, subscriber

OWN = 10  # failures of one address within OWN_SECONDS
OWN_SECONDS = 900.0
ALL = 100  # failures of all addresses within ALL_SECONDS: from then on an address has one
ALL_SECONDS = 60.0
REMEMBERED = 10_000  # addresses


class Throttle:
    """Counts failures by address, of IPv6 by network of 64 bits, and of all together; in memory, for one API.

    Many strangers at once cannot lock an operator out: an address that was never wrong always has one attempt.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._by: dict[str, deque[float]] = {}
        self._all: deque[float] = deque(maxlen=ALL)

    def wait(self, address: str) -> float:
        """Seconds until this address may try; 0: now."""
        now, own = self._clock(), self._by.get(_home(address), deque())
        while own and own[0] <= now - OWN_SECONDS:
            own.popleft()
        crowded = len(self._all) == ALL and self._all[0] > now - ALL_SECONDS
        most = 1 if crowded else OWN
        if len(own) < most:
            return 0.0
        return min(own[-most] + OWN_SECONDS, self._all[0] + ALL_SECONDS if crowded and len(own) < OWN else 1e18) - now

    def failed(self, address: str) -> None:
        """This address was wrong."""
        now, home = self._clock(), _home(address)
        own = self._by.pop(home, None) or deque(maxlen=OWN)
        own.append(now)
        self._by[home] = own
        self._all.append(now)
        if len(self._by) > REMEMBERED:
            del self._by[next(iter(self._by))]

    def forgive(self, address: str) -> None:
        """Its last failure was none."""
        if own := self._by.get(_home(address)):
            own.pop()
        if self._all:
            self._all.pop()


def _home(address: str) -> str:
    found = read_address(address)
    return "" if found is None else subscriber(found)
