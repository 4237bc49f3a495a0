"""What a caller sent never stands in words about his job: not in errors, causes, lines of the history or logs."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Protocol
from urllib.parse import quote

import msgspec

SHORTEST = 2  # characters; a single one hides nothing of a text and spoils it
WORD = 6  # shorter ones are hidden where they stand by themselves
HIDDEN = "(hidden)"


class Holder(Protocol):
    """What a lease speaks to; see `lease.Holder`."""

    def commit(self, lease: Any) -> Any:
        """Pass the point of no return."""
        ...

    def note(self, lease: Any, text: str | None, progress: float | None) -> Any:
        """Write a line of the job's history."""
        ...


class Hiding:
    """Takes words out of texts, whatever their case, also where they are written as in an address of the web or as
    `repr` and JSON write them. A text without any of them, as nearly all are, costs a look for each."""

    __slots__ = ("_known", "_words")

    def __init__(self, words: Iterable[str]) -> None:
        self._words = words
        self._known: list[str] | None = None

    def __call__(self, text: str) -> str:
        """The text without them."""
        if self._known is None:
            known = {word for one in self._words if len(word := one.strip()) >= SHORTEST}
            self._known = sorted(known, key=len, reverse=True)
        if "%" in text or "\\" in text:
            for word in self._known:
                for spelled in {quote(word, safe=""), quote(word), ascii(word)[1:-1], repr(word)[1:-1]} - {word}:
                    text = _without(spelled, text)
        for word in self._known:
            text = _without(word, text)
        return text


class HidingHolder:
    """The holder of a lease, for whom lines of the history are written without what is hidden."""

    __slots__ = ("_hide", "_holder")

    def __init__(self, holder: Holder, hide: Hiding) -> None:
        self._holder = holder
        self._hide = hide

    def commit(self, lease: Any) -> Any:
        """As the holder does."""
        return self._holder.commit(lease)

    def note(self, lease: Any, text: str | None, progress: float | None) -> Any:
        """As the holder does."""
        return self._holder.note(lease, None if text is None else self._hide(text), progress)


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a payload, at whatever depth, but for the job's id."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            if name != "job_id":
                yield from texts_in(getattr(value, name))
    elif isinstance(value, dict):
        for pair in value.items():
            yield from texts_in(pair)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for one in value:
            yield from texts_in(one)


def _without(word: str, text: str) -> str:
    if word.casefold() not in text.casefold():
        return text
    bound = len(word) < WORD
    pattern = rf"(?<!\w){re.escape(word)}(?!\w)" if bound else re.escape(word)
    return re.sub(pattern, HIDDEN, text, flags=re.IGNORECASE)
