"""An exercise: everything that may break is broken on a system of its own, and every job is accounted for."""

from yellowbooks.drill.drill import Drill
from yellowbooks.drill.report import Report

__all__ = ["Drill", "Report"]
