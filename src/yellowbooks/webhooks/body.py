"""A JSON body read by path: what is missing or of another shape is named by where it stands."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from yellowbooks.jobs import Fault, Invalid

NUMBER_IN_MS = 100_000_000_000
"""A number of this size or more is milliseconds since 1970, a smaller one seconds (they meet in 1973 and 5138)."""


class Found(str):
    """A text of a body that remembers its path, so that whoever finds fault with it can say where it stood."""

    __slots__ = ("path",)
    path: str

    def __new__(cls, text: str, path: str = "") -> "Found":
        """The text, and where it stood."""
        found = super().__new__(cls, text)
        found.path = path
        return found


class Body:
    """One JSON object, and where it stands in the request. Every reader raises `Invalid` with a path."""

    def __init__(self, value: dict[str, Any], path: str = "") -> None:
        self.value = value
        self.path = path

    @property
    def digest(self) -> str:
        """A hash of what it says, 32 hexadecimal digits: the name of an event that has none of its own."""
        return hashlib.sha256(msgspec.json.encode(self.value, order="sorted")).hexdigest()[:32]

    def text(self, path: str) -> Found:
        """The text at a path such as `data.user_id`, which must be there and not be empty."""
        found = self.maybe(path)
        if found is None:
            raise Invalid([Fault(self._at(path), "is required")])
        return found

    def maybe(self, path: str) -> Found | None:
        """The text at a path; None where it, or what leads to it, is missing, null or empty."""
        value = self._value(path, str, "a text")
        return Found(value, self._at(path)) if value else None

    def flag(self, path: str) -> bool | None:
        """True or false at a path; None where it is missing or null."""
        value: bool | None = self._value(path, bool, "true or false")
        return value

    def number(self, path: str) -> float | None:
        """The number at a path; None where it is missing or null."""
        value: float | None = self._value(path, (int, float), "a number")
        return value

    def moment(self, path: str) -> datetime | None:
        """A time at a path: RFC 3339 with an offset, or a number since 1970 in seconds or milliseconds."""
        value = self._value(path, (str, int, float), "a time")
        if value is None or value == "":
            return None
        try:
            if not isinstance(value, str):
                return datetime.fromtimestamp(value / 1000 if value >= NUMBER_IN_MS else value, UTC)
            moment = datetime.fromisoformat(value)
        except (ValueError, OverflowError, OSError):
            raise Invalid([Fault(self._at(path), "is no time; send one such as 2025-12-18T23:00:00Z")]) from None
        if moment.tzinfo is None:
            raise Invalid([Fault(self._at(path), "has no offset; send one such as 2025-12-18T23:00:00Z")])
        return moment

    def body(self, path: str) -> "Body":
        """The object at a path, which must be there."""
        value = self._value(path, dict, "an object")
        if value is None:
            raise Invalid([Fault(self._at(path), "is required")])
        return Body(value, self._at(path))

    def bodies(self, path: str) -> "list[Body]":
        """The objects of the list at a path; none where it is missing or null."""
        return list(objects(self._value(path, list, "a list") or [], self._at(path)))

    def _at(self, path: str) -> str:
        return f"{self.path}.{path}" if self.path else path

    def _value(self, path: str, kind: type | tuple[type, ...], called: str) -> Any:
        value: Any = self.value
        walked: list[str] = []
        for step in path.split("."):
            if not isinstance(value, dict):
                raise Invalid([Fault(self._at(".".join(walked)), "is no object")])
            walked.append(step)
            value = value.get(step)
            if value is None:
                return None
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise Invalid([Fault(self._at(path), f"is not {called}")])
        return value


def objects(values: list[Any], path: str = "") -> Iterator[Body]:
    """The objects of a list that stands at `path`. Raises `Invalid` at what is none."""
    for number, value in enumerate(values):
        at = f"{path}[{number}]"
        if not isinstance(value, dict):
            raise Invalid([Fault(at, "is no object")])
        yield Body(value, at)
