"""A person's data handed out, and taken: part by part, and looked for again."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from yellowbooks.privacy.person import Found, NotYet, Part, Person

ELSEWHERE = (
    "other machines' YB_DATA_DIR: jobs on the disk of an API whose queue is away, and inboxes; run it there too",
    "the web application's own disk, where the Python client keeps what no API has taken yet",
    "backups and replicas: they forget when they are replaced or follow",
    "mail servers and mailboxes; whoever collects logs and traces (ours name nobody)",
)


@dataclass(slots=True)
class Seen:
    """What one part holds, or why that is not known; of an erasure also how much was taken."""

    part: Part
    found: Found = field(default_factory=Found)
    taken: int = 0

    @property
    def left(self) -> int:
        """How much is there that should not be."""
        return 0 if self.part.kept else len(self.found.items)


@dataclass(slots=True)
class Erasure:
    """What was taken and what is left. `touched` is False where a part was away, so that nothing was begun."""

    seen: list[Seen]
    touched: bool = True
    files: list[str] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether every part was looked at again, and nothing is left."""
        return self.touched and not any(one.left or one.found.gaps for one in self.seen)


async def gather(parts: Sequence[Part], person: Person) -> list[Seen]:
    """What every part holds about him, in their order: what one learns of him helps the next ones. A part that is away
    is a gap."""
    return [Seen(part, (await _find(part, person))[0]) for part in parts]


async def erase(parts: Sequence[Part], person: Person, begin: Callable[[], Awaitable[None]]) -> Erasure:
    """Take what the parts hold, in their order, and look again. Where one is away nothing is touched, and where `begin`
    fails, which writes down that it begins.

    The last part is the one that the others are found by: it is only taken where all before it were.
    """
    for part in parts:
        found, away = await _find(part, person)
        if away:
            return Erasure([Seen(part, found)], touched=False)
    await begin()
    taken: dict[str, int] = {}
    troubles: dict[str, str] = {}
    for part in parts:
        if troubles and part is parts[-1]:
            troubles[part.name] = "it was left, as the others are found by it; run it again"
            break
        try:
            taken[part.name] = await part.erase(person)
        except (NotYet, OSError) as error:
            troubles[part.name] = str(error)
    seen = await gather(parts, person)
    for one in seen:
        one.taken = taken.get(one.part.name, 0)
        if one.part.name in troubles:
            one.found.gaps.insert(0, troubles[one.part.name])
    return Erasure(seen)


async def _find(part: Part, person: Person) -> tuple[Found, bool]:
    """What a part holds, and whether it is away."""
    try:
        return await part.find(person), False
    except (OSError, LookupError) as error:
        return Found(gaps=[str(error)]), True


def as_json(seen: Sequence[Seen], person: Person, at: str) -> dict[str, Any]:
    """What was gathered, as one object."""
    return {
        "about": {"userId": person.user, "address": person.address},
        "at": at,
        "complete": not any(one.found.gaps for one in seen),
        "parts": [
            {"part": one.part.name, "where": one.part.where, "items": one.found.items, "gaps": one.found.gaps}
            for one in seen
        ],
        "elsewhere": ELSEWHERE,
    }
