"""All connections of one server: how many there are, for how long each may wait, and who goes when there is no room."""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from yellowbooks.edge.address import counted

MOST_TICK = 0.5  # seconds that one look at the clock may take away from those who wait
SPARE = 64  # connections above the bound: for probes, and for the words that tell others to come later
PROBES = frozenset({"/healthz", "/readyz"})
YOUNG_SECONDS = 0.2  # an honest head comes in one piece; who is younger may be one


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a connection may cost. Durations are seconds, sizes bytes; who is not counted has no bound of his own.

    `counted` gives what an address is counted by, "" where it is not. `receive` is for the head of a request, and again
    for its body, however many bytes came meanwhile; `bodies` for all that came in part. `ahead` is how many requests
    may be sent before the answer to the first one. A client gets `unread` for each 32 KiB of an answer, and
    `linger` to read why it was refused.
    """

    receive: float = 10.0
    idle: float = 5.0
    unread: float = 30.0
    linger: float = 2.0
    connections: int = 20_000
    address_connections: int = 1000
    head: int = 16 * 1024
    fields: int = 100
    target: int = 4096
    body: int = 1024 * 1024
    bodies: int = 64 * 1024 * 1024
    ahead: int = 16
    counted: Callable[[str], str] = counted


class Phase(IntEnum):
    """What a connection waits for."""

    IDLE = 0
    HEAD = 1
    BODY = 2
    WORK = 3
    UNREAD = 4
    LINGER = 5
    CLOSING = 6
    GONE = 7


class Waiting(Protocol):
    """A connection as the crowd sees it."""

    phase: Phase

    def late(self) -> None:
        """Its time in this phase is over; it moves to another."""
        ...

    def leave(self) -> None:
        """Its place is needed: close at once, and be gone."""
        ...


class Crowd:
    """Counts connections and keeps them by phase, the one that waits longest first.

    Its clock goes on by at most half a second a look, so that a busy or stopped process takes nobody's time away: what
    came meanwhile is read before anybody is late. `refused` hears each reason.
    """

    def __init__(self, limits: Limits, refused: Callable[[str], None]) -> None:
        self.limits = limits
        self.refused = refused
        self.open = 0
        self.held = 0  # bytes of bodies that did not come whole yet
        self._clock = 0.0
        self._looked: float | None = None
        self._since: dict[Phase, OrderedDict[Waiting, float]] = {phase: OrderedDict() for phase in Phase}
        self._addresses: Counter[str] = Counter()
        self._patience = {
            Phase.IDLE: limits.idle, Phase.HEAD: limits.receive, Phase.BODY: limits.receive,
            Phase.UNREAD: limits.unread, Phase.LINGER: limits.linger, Phase.CLOSING: limits.unread,
        }  # fmt: skip

    def enter(self, connection: Waiting, address: str) -> str:
        """A connection is there: "" where it is welcome, else the reason why it is not."""
        self.open += 1
        self._since[connection.phase][connection] = self._clock
        if address := self.limits.counted(address):
            self._addresses[address] += 1
            if self._addresses[address] > self.limits.address_connections:
                return "address_connections"
        while self.open > self.limits.connections:
            if not self._make_room():
                return "crowded"
        return ""

    def overrun(self) -> bool:
        """Whether not even a place for a refusal is left."""
        return self.open > self.limits.connections + SPARE

    def move(self, connection: Waiting, phase: Phase) -> None:
        """It waits for something else from now on."""
        del self._since[connection.phase][connection]
        self.open += (connection.phase is Phase.GONE) - (phase is Phase.GONE)
        connection.phase = phase
        self._since[phase][connection] = self._clock

    def exit(self, connection: Waiting, address: str) -> None:
        """A connection is gone."""
        self.open -= connection.phase is not Phase.GONE
        del self._since[connection.phase][connection]
        if address := self.limits.counted(address):
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    def hold(self, size: int) -> None:
        """So many bytes more (or fewer) of bodies are kept; over the bound the slowest body goes."""
        self.held += size
        while self.held > self.limits.bodies and self._since[Phase.BODY]:
            self._turn_away(next(iter(self._since[Phase.BODY])))

    def tick(self, now: float) -> None:
        """Look at the clock (monotonic), and end the waits that took too long."""
        self._clock += min(now - (now if self._looked is None else self._looked), MOST_TICK)
        self._looked = now
        for phase, seconds in self._patience.items():
            waiting = self._since[phase]
            while waiting:
                first, since = next(iter(waiting.items()))
                if self._clock - since <= seconds:
                    break
                first.late()

    def _make_room(self) -> bool:
        """The slowest request goes, or who is idle the longest; nobody whose request is at work."""
        reading = [
            next(iter(self._since[phase].items())) for phase in (Phase.LINGER, Phase.HEAD, Phase.BODY)
            if self._since[phase]
        ]  # fmt: skip
        old = min(reading, key=lambda one: one[1], default=None)
        if old and self._clock - old[1] > YOUNG_SECONDS:
            self._turn_away(old[0])
            return True
        if self._since[Phase.IDLE]:
            self._turn_away(next(iter(self._since[Phase.IDLE])))
            return True
        return False

    def _turn_away(self, connection: Waiting) -> None:
        self.refused("crowded")
        connection.leave()
