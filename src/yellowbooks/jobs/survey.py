"""How many jobs stand where, how old the oldest is, and who works: what a metric or a dashboard reads."""

from typing import Any

import msgspec

from yellowbooks.jobs.explain import Colleague, Gate
from yellowbooks.jobs.kind import LANES


class Line(msgspec.Struct):
    """Jobs of one kind and lane that may run: how many, and how long (ms) the oldest has waited."""

    waiting: int
    oldest: int | None = None


class Survey(msgspec.Struct):
    """The queue at one moment. `lines` goes by kind and lane, such as `order-paid:normal`."""

    lines: dict[str, Line] | list[Any]
    workers: dict[str, Colleague] | list[Any]
    gates: dict[str, Gate] | list[Any]
    scheduled: int
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
