"""Reads a report that a mail was not delivered (RFC 3464), and finds out whether it speaks of a mail of ours."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message as Parsed
from email.parser import BytesParser
from email.policy import compat32
from typing import Literal

from yellowbooks.mail.identity import fold, proves
from yellowbooks.mail.reply import redact, unrepeated

MOST_BYTES = 1024 * 1024
MOST_PARTS = 20
MOST_RECIPIENTS = 100

Weight = Literal["hard", "soft", "none"]

# Who is unknown or closed. What else is for ever about a mailbox is a strike; what the servers of the world think of
# us (5.7, 5.1.7, 5.1.8) or of a mail (5.5, 5.6) is never the recipient's fault (RFC 3463, section 3).
_HARD = re.compile(r"5\.1\.(?:1|10)|5\.2\.1")
_NEVER = re.compile(r"[45]\.(?:[5-7]\.\d+|1\.[78])")
_STATUS = re.compile(r"\b([245]\.\d{1,3}\.\d{1,3})\b")


class NoReport(ValueError):
    """The mail is no delivery report, or one that cannot be read."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One recipient that a mail did not reach: where it may have been sent to, and why it did not arrive."""

    addresses: tuple[str, ...]
    status: str
    why: str

    @property
    def weight(self) -> Weight:
        """What it says of the address: `hard` it is dead, `soft` it takes nothing at present, `none` nothing."""
        if _HARD.fullmatch(self.status):
            return "hard"
        return "none" if _NEVER.fullmatch(self.status) else "soft"


@dataclass(frozen=True, slots=True)
class Report:
    """A delivery report: the mail that it speaks of, and whom that did not reach."""

    message_id: str
    failures: tuple[Failure, ...]

    def ours(self, secret: bytes) -> Iterator[tuple[str, Failure]]:
        """Each failure of a mail that we sent, with the address that we sent it to."""
        for failure in self.failures:
            for address in failure.addresses:
                if proves(self.message_id, address, secret):
                    yield address, failure
                    break


def read_report(data: bytes) -> Report:
    """Read a multipart/report with a delivery status and the mail, or its headers, given back (RFC 3462, RFC 3464).

    Delays and successes are no failures. Raises `NoReport`.
    """
    if len(data) > MOST_BYTES:
        raise NoReport(f"the mail is over {MOST_BYTES} bytes; a delivery report is smaller")
    try:
        mail = BytesParser(policy=compat32).parsebytes(data)
        if mail.get_content_type() != "multipart/report" or not mail.is_multipart():
            raise NoReport("the mail is no delivery report: it is no multipart/report (RFC 3462); nothing was done")
        parts = list(mail.get_payload())[:MOST_PARTS]
        returned = next((found for part in parts if (found := _returned(part)) is not None), None)
        status = next((part for part in parts if part.get_content_type() == "message/delivery-status"), None)
        if status is None or returned is None:
            raise NoReport("the report lacks its delivery status or the mail given back, so nobody knows whose it is")
        to = _addresses(_field(returned, "To"))
        groups = [one for one in status.get_payload() if isinstance(one, Parsed)][1 : MOST_RECIPIENTS + 1]
        failures = tuple(_failure(group, to) for group in groups if _field(group, "Action").lower() == "failed")
        return Report(_field(returned, "Message-ID"), failures)
    except (RecursionError, LookupError, UnicodeError, TypeError, AttributeError) as error:
        raise NoReport(f"the report cannot be read ({type(error).__name__}); nothing was done") from None


def _returned(part: Parsed) -> Parsed | None:
    """The headers of the mail that is given back, whole or as headers alone (RFC 3462, section 2)."""
    kind = part.get_content_type()
    if kind == "message/rfc822" and part.is_multipart():
        return next((one for one in part.get_payload() if isinstance(one, Parsed)), None)
    if kind == "text/rfc822-headers":
        content = part.get_payload(decode=True)
        return (
            BytesParser(policy=compat32).parsebytes(content, headersonly=True) if isinstance(content, bytes) else None
        )
    return None


def _failure(group: Parsed, to: tuple[str, ...]) -> Failure:
    named = [_field(group, name).partition(";")[2] for name in ("Original-Recipient", "Final-Recipient")]
    addresses = (*(address for text in named for address in _addresses(text)), *to)
    words = _field(group, "Diagnostic-Code").partition(";")[2].strip()
    found, closer = _STATUS.search(_field(group, "Status")), _STATUS.search(words)
    status = found[1] if found else "5.0.0"
    if status.endswith(".0.0") and closer:  # the reporting server knows no more than what it was told
        status = closer[1]
    found_addresses = tuple(dict.fromkeys(map(fold, addresses)))
    with unrepeated(lambda text: _without(found_addresses, text)):
        return Failure(found_addresses, status, f"{status} {redact(words)}".strip())


def _without(addresses: tuple[str, ...], text: str) -> str:
    """The words without what stands before the @ of an address, as servers name a mailbox."""
    for local in {address.rpartition("@")[0] for address in addresses} - {""}:
        text = re.sub(rf"(?<!\w){re.escape(local)}(?!\w)", "(hidden)", text, flags=re.IGNORECASE)
    return text


def _field(message: Parsed, name: str) -> str:
    return " ".join(str(message.get(name, "")).split())[:1000]


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\s<>@:;,\"]{1,64}@[^\s<>@:;,\"]{1,255}", text)[:5])
