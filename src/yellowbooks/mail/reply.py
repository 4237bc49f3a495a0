"""SMTP replies and what they mean for the mail: one table (RFC 5321, section 4.2; RFC 3463)."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

Phase = Literal["connect", "login", "mail", "rcpt", "data", "dot"]
"""What a reply answers: the set-up of a session, its login, or one command of a mail."""

Verdict = Literal["done", "retry", "defer", "reconnect", "config", "permanent", "suppress", "strike", "policy"]
"""What a reply means.

`retry`: a failed attempt. `defer`: later, and no attempt is spent. `reconnect`: the server, not the mail; another
session or server may take it. `config`: ours to mend, and every mail would meet it. The rest are for ever for this
mail: `suppress` as there is no such recipient, `strike` as he takes nothing now, `policy` as we are not trusted (the
operator is told, and never the recipient blamed), `permanent` for anything else.
"""

REPLY_LENGTH = 200  # characters of a server's words that are kept
LONGEST_HINT = 3600.0  # seconds
GREYLIST_SECONDS, FULL_SECONDS = 60.0, 300.0
ADDRESSED: frozenset[Phase] = frozenset(("rcpt", "dot"))  # where a reply can be about the recipient


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what must all hold of a reply for it to have this verdict.

    `codes` are basic codes; `enhanced` a pattern of the whole enhanced code; `words` one to be found in the text; what
    is left out holds of any reply. `wait` is the first wait in seconds of a `defer`.
    """

    verdict: Verdict
    codes: frozenset[int] = frozenset()
    enhanced: str = ""
    phases: frozenset[Phase] = frozenset()
    words: str = ""
    wait: float = GREYLIST_SECONDS


def _codes(*codes: int) -> frozenset[int]:
    return frozenset(codes)


def _at(*phases: Phase) -> frozenset[Phase]:
    return frozenset(phases)


# The first row that fits. Enhanced codes go before basic ones, but where a basic code has one meaning alone.
TABLE: tuple[Row, ...] = (
    Row("reconnect", _codes(421)),
    Row("reconnect", enhanced=r"4\.3\.2"),
    # A login that is refused, or that asks for another try, is no mail's fault. One that is asked for and was not
    # made, or a command that the server does not take, is ours to mend too.
    Row("config", _codes(454, 534, 535, 538), phases=_at("login")),
    Row("config", _codes(*range(500, 600)), phases=_at("login")),
    Row("reconnect", phases=_at("connect", "login")),
    Row("config", _codes(530, 534, 535, 538)),
    Row("config", _codes(454), r"4\.7\.0"),
    Row("config", enhanced=r"5\.7\.8"),
    # Some servers say 550 5.5.x of a recipient that they do not know; that is the mail's end, not our configuration.
    Row("permanent", _codes(*range(550, 555)), r"5\.5\.\d+", ADDRESSED),
    Row("config", enhanced=r"5\.5\.\d+"),
    # Who is unknown, closed or has no mail at all. In answer to MAIL the same codes speak of the sender.
    Row("suppress", _codes(556), phases=ADDRESSED),
    Row("suppress", enhanced=r"5\.1\.1|5\.1\.10|5\.2\.1", phases=ADDRESSED),
    Row("policy", enhanced=r"5\.1\.[78]"),
    Row("strike", enhanced=r"5\.2\.2|5\.3\.4"),
    Row("policy", enhanced=r"5\.7\.\d+"),
    Row("defer", enhanced=r"4\.2\.2|4\.3\.1|4\.5\.3", wait=FULL_SECONDS),
    Row("defer", enhanced=r"4\.7\.\d+"),
    Row("permanent", enhanced=r"5\.(?:[1-46]|1\d)\.\d+"),
    Row("config", _codes(500, 502, 503, 504, 555)),
    Row("strike", _codes(552)),
    Row("defer", _codes(452), wait=FULL_SECONDS),
    Row("defer", _codes(450, 451), words=r"gr[ea]y-?list|try again (?:in|after)|retry (?:in|after)"),
    Row("retry", _codes(*range(400, 500))),
    Row("permanent", _codes(*range(500, 600))),
)

_ENHANCED_CODE = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")
_HINT = re.compile(r"\b(?:in|after|for)\s+(\d{1,6})\s*(s|sec|second|m|min|minute)s?\b", re.IGNORECASE)
_hide: ContextVar[Callable[[str], str] | None] = ContextVar("hide", default=None)
_ADDRESS = re.compile(r"[^\s<>@:]{1,128}@[^\s<>@:]{1,255}")


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's word on a mail: the codes, its words without addresses, and what they mean.

    `enhanced` is empty where the server gave none, or said yes. `wait` is the first wait in seconds of a `defer`, and
    `hinted` says that the server asked for it.
    """

    code: int
    enhanced: str
    text: str
    phase: Phase
    verdict: Verdict
    wait: float
    hinted: bool = False

    def __str__(self) -> str:
        return f"{self.code} {self.text}".strip()

    def cause(self, host: str) -> str:
        """What groups this reply with others of its sort: `host:phase:code`."""
        return f"{host}:{self.phase}:{self.code}" + (f"/{self.enhanced}" if self.enhanced else "")


def read(code: int, text: str, phase: Phase = "dot") -> Reply:
    """What a reply means where it answers `phase`. A code that SMTP does not have counts as temporary."""
    if code // 100 == 2:
        return Reply(code, "", redact(text), phase, "done", 0.0)
    found = _ENHANCED_CODE.search(text)
    enhanced = found[1] if found and found[1][0] == str(code)[0] else ""
    row = next((row for row in TABLE if _fits(row, code, enhanced, text, phase)), Row("retry"))
    hint = _hint(text) if row.verdict in ("defer", "retry") and code // 100 == 4 else None
    verdict: Verdict = "defer" if hint is not None else row.verdict
    wait = row.wait if hint is None else hint
    return Reply(code, enhanced, redact(text), phase, verdict, wait, hint is not None)


def _fits(row: Row, code: int, enhanced: str, text: str, phase: Phase) -> bool:
    return (
        (not row.codes or code in row.codes)
        and (not row.phases or phase in row.phases)
        and (not row.enhanced or re.fullmatch(row.enhanced, enhanced) is not None)
        and (not row.words or re.search(row.words, text, re.IGNORECASE) is not None)
    )


@contextmanager
def unrepeated(hide: Callable[[str], str]) -> Iterator[None]:
    """What servers say within it is kept without what `hide` takes out of it: they may repeat what they were told."""
    before = _hide.set(hide)
    try:
        yield
    finally:
        _hide.reset(before)


def redact(text: str) -> str:
    """A server's words as one short line, without the addresses that it repeats, and without what is `unrepeated`."""
    text = _ADDRESS.sub("(address)", text) if "@" in text else text
    hide = _hide.get()
    line = " ".join((hide(text) if hide else text).split())[:REPLY_LENGTH]
    return line if line.isprintable() else "".join(c if c.isprintable() else "?" for c in line)


def _hint(text: str) -> float | None:
    match = _HINT.search(text)
    if not match:
        return None
    return min(int(match[1]) * (60.0 if match[2].lower().startswith("m") else 1.0), LONGEST_HINT)
