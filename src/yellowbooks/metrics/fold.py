"""How events become counts: pure, but for what it remembers of jobs that wait and run."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from yellowbooks.jobs import Event

REMEMBERED = 50_000  # jobs whose times are kept in memory; of the others the record is asked
MINUTE_MS = 60_000

# Seconds. A mail takes milliseconds; the alert's 10 s and the limits of SMTP replies must be edges.
RUN_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
WAIT_EDGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)

ENTERED = frozenset({"admitted", "promoted", "crashed", "released", "requeued", "restored"})
ENDED = frozenset({"completed", "retried", "deferred", "died"})


class Moments(NamedTuple):
    """When a job came and when its last attempt began (ms since 1970); None where it is not known."""

    created: int | None
    started: int | None


class Tally:
    """Counts by field. A field is a letter and words with bars between:

    `e|kind|event`; `r|kind|n` and `w|kind|n`, the n-th edge of the run and wait times; `rs|kind` and `ws|kind`, their
    sums (ms); `a`, attempts that nobody knows the end of; `x|kind|reason`, admissions that were refused;
    `d|why`, who was not let in.
    """

    def __init__(self, counts: Mapping[str, int] = {}) -> None:
        self.counts = Counter(counts)

    def event(self, kind: str, name: str) -> int:
        """How many events of this name."""
        return self.counts[f"e|{kind}|{name}"]

    def kinds(self) -> list[str]:
        """Whatever kind was counted."""
        return sorted({field.split("|")[1] for field in self.counts if field.startswith(("e|", "x|"))})

    def histogram(self, letter: str, kind: str, edges: tuple[float, ...]) -> tuple[list[int], float]:
        """How many were at most each edge, and beyond the last; and the sum in seconds."""
        counts, total = [], 0
        for n in range(len(edges) + 1):
            total += self.counts[f"{letter}|{kind}|{n}"]
            counts.append(total)
        return counts, self.counts[f"{letter}s|{kind}"] / 1000

    def quantile(self, share: float, letter: str = "r", edges: tuple[float, ...] = RUN_EDGES) -> float | None:
        """The edge (s) that this share of all kinds' times do not pass, infinity beyond the last; None without any."""
        counts = [0] * (len(edges) + 1)
        for kind in self.kinds():
            counts = [a + b for a, b in zip(counts, self.histogram(letter, kind, edges)[0], strict=True)]
        if not counts[-1]:
            return None
        at = next(n for n, count in enumerate(counts) if count >= share * counts[-1])
        return edges[at] if at < len(edges) else float("inf")

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.counts + other.counts)


class Fold:
    """Counts events. `doubtful` says of an event whether nobody knows what became of the attempt's effect."""

    def __init__(self, doubtful: Callable[[Event], bool] = lambda _event: False) -> None:
        self._doubtful = doubtful
        self._since: dict[str, int] = {}
        self._began: dict[str, int] = {}

    def unknown(self, events: Iterable[Event]) -> list[str]:
        """Jobs whose times these events ask for and nobody remembers."""
        since, began, asked = set(self._since), set(self._began), dict[str, None]()
        for event in events:
            if event.name in ENTERED:
                since.add(event.job)
            elif event.name == "claimed":
                began.add(event.job)
                if event.job not in since:
                    asked[event.job] = None
            elif event.name in ENDED and event.job not in began:
                asked[event.job] = None
        return list(asked)

    def __call__(self, events: Iterable[Event], looked: Mapping[str, Moments]) -> tuple[Tally, dict[int, Tally]]:
        """What these events add to the whole and to each minute (since 1970). `looked` has what `unknown` asked for."""
        whole, minutes = Tally(), dict[int, Tally]()
        for event in events:
            counts = minutes.setdefault(event.at // MINUTE_MS, Tally()).counts
            counts[f"e|{event.kind}|{event.name}"] += 1
            counts["a"] += self._doubtful(event)
            self._times(event, counts, looked.get(event.job, Moments(None, None)))
        for minute in minutes.values():
            whole.counts.update(minute.counts)
        return whole, minutes

    def _times(self, event: Event, counts: "Counter[str]", looked: Moments) -> None:
        if event.name in ENTERED:
            _remember(self._since, event.job, event.at)
            self._began.pop(event.job, None)
        elif event.name == "claimed":
            since = self._since.pop(event.job, looked.created if event.attempt == 1 else None)
            _measure(counts, "w", event, since, WAIT_EDGES)
            _remember(self._began, event.job, event.at)
        elif event.name in ENDED:
            _measure(counts, "r", event, self._began.pop(event.job, looked.started), RUN_EDGES)
        elif event.name in ("cancelled", "discarded"):
            self._since.pop(event.job, None)
            self._began.pop(event.job, None)


def _measure(counts: "Counter[str]", letter: str, event: Event, since: int | None, edges: tuple[float, ...]) -> None:
    if since is None:
        return
    took = max(0, event.at - since)
    counts[f"{letter}|{event.kind}|{bisect_left(edges, took / 1000)}"] += 1
    counts[f"{letter}s|{event.kind}"] += took


def _remember(times: dict[str, int], job_id: str, at: int) -> None:
    times[job_id] = at
    if len(times) > REMEMBERED:
        del times[next(iter(times))]
