"""How long to wait before the next attempt."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential delays: `base` seconds after the first failure, doubled after each further one.

    With `attempts=5` and `base=2` the delays are 2, 4, 8 and 16 s. `jitter` spreads each delay over
    [delay, delay * (1 + jitter)], the same for the same job and attempt, so that a run can be replayed.
    """

    attempts: int = 5
    base: float = 2.0
    jitter: float = 0.0

    def delay(self, attempt: int, seed: str = "") -> float:
        """Seconds to wait after the failure of the given attempt, counted from 1."""
        spread = random.Random(f"{seed}:{attempt}").random() if self.jitter else 0.0  # noqa: S311  # nosec B311 # no secret
        return float(self.base * 2 ** (attempt - 1) * (1 + self.jitter * spread))
