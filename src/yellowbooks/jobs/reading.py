"""What msgspec lets pass, or tells in its own words, of a JSON body."""

import json
import re
from typing import Any

STRINGS = re.compile(rb'"([^"]*)"([ \t\r\n]*:)?')  # of JSON without backslashes: its strings, one after the other


def repeated(body: bytes) -> str:
    """A name that stands twice in one object, "" where none does. `body` was read as JSON before.

    Two programs may read such an object in two ways (RFC 8259, section 4). Most bodies have each name once in all, and
    are not read a second time.
    """
    if b"\\" not in body:
        names = [name for name, colon in STRINGS.findall(body) if colon]
        if len(names) == len(set(names)):
            return ""
    twice: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                twice.append(name)
            seen.add(name)

    json.loads(body, object_pairs_hook=look, parse_int=str, parse_float=str)
    return twice[0] if twice else ""


def why_unread(body: bytes, error: Exception) -> str:
    """Why a body could not be read as JSON, and what to send."""
    if isinstance(error, RecursionError):
        return "is nested too deeply; send a flatter one"
    try:
        body.decode()
    except UnicodeDecodeError as fault:
        return f"is not UTF-8 (at byte {fault.start}); send UTF-8"
    return f"is not JSON ({error}); send one JSON object"
