"""One finding of the doctor."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "FAIL"]


@dataclass(frozen=True, slots=True)
class Line:
    """What was looked at, how it is, and what to do next where it is not well."""

    level: Level
    check: str
    found: str
    next: str = ""

    def __str__(self) -> str:
        return f"{self.level:<4}  {self.check:<10} {self.found}" + (f"; next: {self.next}" if self.next else "")
