"""What jobs are found by, and what of them may be seen: said by their kind, as the engine knows nothing of persons."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

P_contra = TypeVar("P_contra", contravariant=True)
KEY_LENGTH = 12
"""Characters of a key, each of A-Z, a-z, 0-9, - and _."""


class Finder(Protocol[P_contra]):
    """Makes of a payload the keys that its job is found by. They travel in events and stand in the job log, so they
    are hashed with a secret and say nothing of a person; the first names whom the job is about."""

    def keys(self, job_id: str, payload: P_contra) -> Sequence[str]:
        """The keys of one job, each of `KEY_LENGTH` characters."""
        ...

    def sought(self, text: str) -> Sequence[tuple[str, str]]:
        """What a person who searches for this text may mean: what it is, such as «email», and its key."""
        ...

    def masked(self, payload: P_contra) -> Mapping[str, Any]:
        """The payload as JSON has it, with what is personal made unreadable."""
        ...
