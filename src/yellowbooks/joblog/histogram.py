"""How long things took, counted in steps that grow by a fifth: pure, and two of them add up."""

import math
from collections.abc import Iterable, Mapping

STEP = math.log(1.2)
Counts = dict[int, int]
"""How many by step: step 0 is up to 1 ms, each next one a fifth longer."""


def step_of(milliseconds: float) -> int:
    """The step of a duration."""
    return 0 if milliseconds <= 1 else math.ceil(math.log(milliseconds) / STEP - 1e-9)


def add(counts: Iterable[Mapping[int, int]]) -> Counts:
    """All of them together."""
    whole: Counts = {}
    for one in counts:
        for step, count in one.items():
            whole[step] = whole.get(step, 0) + count
    return whole


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """Milliseconds that this share (0 to 1) did not exceed, at most a fifth too many; None where there are none."""
    left = math.ceil(sum(counts.values()) * share)
    for step in sorted(counts):
        left -= counts[step]
        if left <= 0:
            return math.exp(step * STEP)
    return None
