"""Whom it is about, and what the parts of the system hold of him."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from yellowbooks.jobs import Job
from yellowbooks.views import event_view, job_view


@dataclass(slots=True)
class Person:
    """A user's id, an address, or both: then what is about either. `address` is in the form in which it gets the mail.

    `job_ids` and `addresses` are what was learned of him on the way: those of his jobs.
    """

    user: str | None = None
    address: str | None = None
    job_ids: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)

    @property
    def wanted(self) -> Mapping[str, str]:
        """As `find_about` takes it."""
        named = {"user": self.user, "address": self.address}
        return {word: value for word, value in named.items() if value is not None}


@dataclass(slots=True)
class Found:
    """What a part holds: `items` as JSON has them, and `gaps`, each what could not be read, why, and what to do."""

    items: list[Any] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)


def job_item(job: Job) -> dict[str, Any]:
    """A job with all that its history says."""
    history = []
    for event in job.history:
        whole = msgspec.to_builtins(event)
        rest = {name: whole[name] for name in ("cause", "release", "trace", "by", "note", "progress") if name in whole}
        history.append(event_view(event) | rest)
    return job_view(job) | {"history": history}


class Part(Protocol):
    """A part of the system that may hold something about a person. What it holds for ever, `kept` says why."""

    name: str
    where: str
    kept: str

    async def find(self, person: Person) -> Found:
        """What it holds. Raises `ConnectionError` and `OSError` where it is away."""
        ...

    async def erase(self, person: Person) -> int:
        """Take all of it, and say how much that was. Raises as `find`, and `NotYet`; done again it does the rest."""
        ...


class NotYet(Exception):
    """Something stands in the way that passes; the words say what, and what to do."""
