"""The edge from the settings, and what it counts."""

import resource
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from yellowbooks.edge import Crowd, Entrance, Limits, Rules
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings

if TYPE_CHECKING:
    from yellowbooks.metrics import Family

OTHER_FILES = 48  # descriptors for all that is no connection of a client: servers, the disk, libraries
MOST_FILES = 1_048_576
TELL_SECONDS = 60.0


class Edge:
    """One API's connections and its entrance. `count` hears each reason for which something was refused.

    What was refused is told at most once a minute, in numbers: a flood must not fill the log.
    """

    def __init__(self, settings: Settings, tell: Tell) -> None:
        self.crowd = Crowd(limits(settings), self._refused)
        self.count: Callable[[str], None] = lambda _reason: None
        self._rules = rules(settings)
        self._entrance: Entrance | None = None
        self._tell = tell
        self._counts: Counter[str] = Counter()
        self._told = -TELL_SECONDS

    def before(self, app: Any) -> Entrance:
        """The entrance before an application."""
        self._entrance = Entrance(app, self._rules, self._refused)
        return self._entrance

    def tick(self, now: float) -> None:
        """Ten times a second, at a time (s, monotonic)."""
        self.crowd.tick(now)
        if self._counts and now - self._told >= TELL_SECONDS:
            self._told = now
            self._tell("turned_away", **self._counts)
            self._counts.clear()

    def families(self) -> list["Family"]:
        """How it is here now, as metrics."""
        from yellowbooks.metrics import Family

        connections = Family("yb_edge_connections", "gauge", "Connections of the API that answers")
        connections.add(self.crowd.open)
        requests = Family("yb_edge_requests", "gauge", "Requests of the API that answers, at work and in line")
        streams = Family("yb_edge_streams", "gauge", "Readers of live events of the API that answers")
        if it := self._entrance:
            requests.add(it.urgent.working + it.other.working, state="working")
            requests.add(it.urgent.waiting + it.other.waiting, state="waiting")
            streams.add(it.streams)
        return [connections, requests, streams]

    def _refused(self, reason: str) -> None:
        self._counts[reason] += 1
        self.count(reason)


def limits(settings: Settings) -> Limits:
    """What connections may cost; no more of them than the system lets this process have files."""
    return Limits(
        receive=settings.receive,
        idle=settings.idle,
        connections=max(1, min(settings.most_connections, _files() - OTHER_FILES)),
        address_connections=settings.address_connections,
    )


def rules(settings: Settings) -> Rules:
    """What requests may cost."""
    return Rules(
        requests=settings.most_requests,
        streams=settings.most_streams,
        address=settings.address_rate,
        key=settings.key_rate,
        proxies=settings.trusted_proxies,
        right_key=_right_key,
    )


def _right_key(scope: Mapping[str, Any]) -> bool:
    caller = scope["state"].get("caller")
    return caller is not None and bool(caller.secret)


def _files() -> int:
    """How many files this process may have open, after it took all that it may take. (getrlimit(2).)"""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return MOST_FILES if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return most
