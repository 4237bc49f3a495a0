"""How many jobs stand where, how old the oldest is, and who works: what a metric or a dashboard reads."""

from collections.abc import Sequence
from typing import Any

import msgspec

from yellowbooks.jobs.explain import Colleague, Gate
from yellowbooks.jobs.kind import LANES


class Line(msgspec.Struct):
    """Jobs of one kind and lane that may run: how many, and how long (ms) the oldest has waited."""

    waiting: int
    oldest: int | None = None


class Running(msgspec.Struct):
    """A job that a worker runs, `since` so many ms; `committed`: it is past the point of no return."""

    id: str
    kind: str
    worker: str
    since: int
    attempt: int
    committed: bool


class Survey(msgspec.Struct):
    """The queue at one moment. `lines` goes by kind and lane, such as `order-paid:normal`.

    `scheduled` has those that wait for a time, and of them `retrying` failed before (of more than 500: by a sample).
    `running` names as many as were asked for, of the `processing`.
    """

    lines: dict[str, Line] | list[Any]
    workers: dict[str, Colleague] | list[Any]
    gates: dict[str, Gate] | list[Any]
    running: list[Running]
    scheduled: int
    retrying: int
    processing: int
    dead: int
    ended: int
    events: int
    quarantined: int

    def __post_init__(self) -> None:
        """An empty table of the server's is an empty array in MessagePack."""
        lines = self.lines if isinstance(self.lines, dict) else {}
        self.lines = {f"{name[:-1]}{LANES[int(name[-1])]}": line for name, line in lines.items()}
        self.workers = self.workers if isinstance(self.workers, dict) else {}
        self.gates = self.gates if isinstance(self.gates, dict) else {}


def together(surveys: Sequence[Survey]) -> Survey:
    """The survey of a queue from those of its partitions; a worker's id there ends with the partition's letter."""
    whole = surveys[0]
    lines, workers, gates = dict(whole.lines), dict(whole.workers), dict(whole.gates)
    for other in surveys[1:]:
        for name, line in dict(other.lines).items():
            before = lines.get(name, Line(0))
            oldest = max(before.oldest or 0, line.oldest or 0) or None
            lines[name] = Line(before.waiting + line.waiting, oldest)
        workers |= dict(other.workers)
        gates |= dict(other.gates)
        whole.running += other.running
        for count in ("scheduled", "retrying", "processing", "dead", "ended", "events", "quarantined"):
            setattr(whole, count, getattr(whole, count) + getattr(other, count))
    whole.lines, whole.gates = lines, gates
    whole.workers = {worker[:-1]: about for worker, about in workers.items()}
    for one in whole.running:
        one.worker = one.worker[:-1]
    return whole
