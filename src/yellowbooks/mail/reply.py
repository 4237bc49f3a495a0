"""SMTP replies and what they mean for the mail: one table (RFC 5321, section 4.2; RFC 3463)."""

import re
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["done", "retry", "permanent"]
REPLY_LENGTH = 200  # characters of a server's words that are kept
LONGEST_HINT = 3600.0  # seconds

# Ours to mend, not the recipient's fault: a login that is refused, a command that the server does not take. The
# job must not die at once of it. The enhanced code is looked up first, then the basic one, then its first digit.
ENHANCED: dict[str, Verdict] = {"5.7.8": "retry", "5.5.1": "retry", "5.5.2": "retry", "5.5.4": "retry"}
BASIC: dict[int, Verdict] = dict.fromkeys((500, 502, 503, 504, 530, 534, 535, 538, 555), "retry")
FIRST_DIGIT: dict[int, Verdict] = {2: "done", 4: "retry", 5: "permanent"}

_ENHANCED_CODE = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_HINT = re.compile(r"\b(?:in|after|for)\s+(\d{1,6})\s*(s|sec|second|m|min|minute)s?\b", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>@:]{1,128}@[^\s<>@:]{1,255}")


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's last word on a mail: the code, its words without addresses, and what they mean.

    `retry_after` is the wait in seconds that a server asked for, or None.
    """

    code: int
    text: str
    verdict: Verdict
    retry_after: float | None

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()


def read(code: int, text: str) -> Reply:
    """What a reply means. A code that SMTP does not have counts as temporary."""
    enhanced = _ENHANCED_CODE.search(text)
    verdict = ENHANCED.get(enhanced[1]) if enhanced and enhanced[1][0] == str(code)[0] else None
    verdict = verdict or BASIC.get(code) or FIRST_DIGIT.get(code // 100, "retry")
    return Reply(code, redact(text), verdict, _hint(text) if code // 100 == 4 else None)


def redact(text: str) -> str:
    """A server's words as one short line, without the addresses that it repeats."""
    line = " ".join(_ADDRESS.sub("(address)", text).split())
    return "".join(c if c.isprintable() else "?" for c in line)[:REPLY_LENGTH]


def _hint(text: str) -> float | None:
    match = _HINT.search(text)
    if not match:
        return None
    return min(int(match[1]) * (60.0 if match[2].lower().startswith("m") else 1.0), LONGEST_HINT)
