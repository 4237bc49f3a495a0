"""Every target."""

from tests.fuzz import kept, wire

TARGETS = [*kept.TARGETS, *wire.TARGETS]
