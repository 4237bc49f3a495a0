"""A mail from its parts to its bytes: the same parts give the same bytes, on every attempt."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from yellowbooks.mail.identity import identify
from yellowbooks.mail.quoted import Quoted, quoted

HEADERS = (
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "Content-Language",
    "MIME-Version", "Content-Type",
)  # fmt: skip
SIGNATURE = "DKIM-Signature"
ENCODED_WORD_OCTETS = 75  # RFC 2047, section 2
LINE_OCTETS = 998  # RFC 5322, section 2.1.1
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

# An encoded word that a header parser decodes can hold a line break, and so a header (CVE-2024-6923).
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]|=\?")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")

# In braces what a sender and a template fix, in % what differs from mail to mail. The parts are quoted-printable:
# 8-bit text is re-encoded on its way by servers without 8BITMIME, which breaks a signature.
_LAYOUT = "\r\n".join((
    "From: {sender}",
    "To: %(to)b",
    "Subject: {subject}",
    "Date: %(date)b",
    "Message-ID: %(id)b",
    "Auto-Submitted: auto-generated",
    "X-Auto-Response-Suppress: All",
    "Content-Language: {language}",
    "MIME-Version: 1.0",
    "Content-Type: multipart/alternative;",
    ' boundary="%(boundary)b"',
    "",
    "--%(boundary)b",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    "%(text)b",
    "--%(boundary)b",
    "Content-Type: text/html; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    "%(html)b",
    "--%(boundary)b--",
    "",
))  # fmt: skip


class MessageRefused(ValueError):
    """A value that must not stand in a mail; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name and an address (RFC 5322, section 3.4)."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Message:
    """A mail ready for the wire; `sender` and `recipient` are those of the envelope, `signatures` at its head ours."""

    message_id: str
    sender: str
    recipient: str
    subject: str
    data: bytes
    signatures: int = 0


def mailbox(text: str) -> Mailbox:
    """Read «Name <address>» or «address». Raises `ValueError` for anything else."""
    match = re.fullmatch(r"\s*(?:\"?([^\"<>]*?)\"?\s*<([^<>]+)>|(\S+))\s*", text)
    name, address = ((match[1] or "").strip(), match[2] or match[3]) if match else ("", "")
    if not match or not _ADDRESS.fullmatch(address) or _FORBIDDEN.search(name):
        raise ValueError(f"«{text}» is no mailbox; a right one is Yellow Books <no-reply@yellowbooks.example>")
    return Mailbox(name, address)


def compose(
    *, sender: Mailbox, recipient: str, subject: str, text: str | Quoted, html: str | Quoted, language: str, key: str,
    date: datetime, secret: bytes = b"",
) -> Message:  # fmt: skip
    """One mail for one recipient: multipart/alternative, the text first (RFC 2046, section 5.1.4).

    Message-ID and boundary come from `key` (and `secret`), so that a second copy of the mail is the same mail. Who
    sends it calls `check` first.
    Raises `MessageRefused`.
    """
    if not _ADDRESS.fullmatch(recipient) or _FORBIDDEN.search(recipient):
        raise MessageRefused("the recipient is no plain address; correct it where it came from")
    if _FORBIDDEN.search(key):
        raise MessageRefused("the mail's key holds a control character or an encoded word; correct its maker")
    frame = _frame(sender, subject, language)
    digest = identify(key, recipient, secret)
    message_id = f"<{digest}@{sender.address.rpartition('@')[2]}>"
    data = frame % {
        b"to": recipient.encode(),
        b"date": _date(date).encode(),
        b"id": message_id.encode(),
        b"boundary": b"=_" + digest.encode(),
        b"text": text if isinstance(text, Quoted) else quoted(text),
        b"html": html if isinstance(html, Quoted) else quoted(html),
    }
    return Message(message_id, sender.address, recipient, subject, data)


@lru_cache(maxsize=256)
def _frame(sender: Mailbox, subject: str, language: str) -> bytes:
    """What the mails of one sender, subject and language have in common. Raises `MessageRefused`."""
    for value in (subject, sender.name, sender.address, language):
        if _FORBIDDEN.search(value):
            raise MessageRefused("a header holds a control character or an encoded word; correct the template")
    fixed = {
        "sender": f"{_phrase(sender.name)} <{sender.address}>" if sender.name else sender.address,
        "subject": _words(subject, len("Subject: ")),
        "language": language,
    }
    return _LAYOUT.format_map({name: value.replace("%", "%%") for name, value in fixed.items()}).encode("ascii")


def check(data: bytes, signatures: int = 0) -> None:
    """The last gate, which every mailer calls before the wire. Raises `MessageRefused`.

    Our headers and no others, once each, after as many DKIM-Signature headers of ours as `signatures` says; CRLF alone;
    no line over 998 octets.
    """
    head = data[: data.find(b"\r\n\r\n")].split(b"\r\n")
    names = tuple(line.partition(b":")[0].decode("latin-1") for line in head if line[:1] not in (b" ", b"\t"))
    if names != (SIGNATURE,) * signatures + HEADERS:
        raise MessageRefused("the mail's headers are not the expected ones; nothing was sent")
    if not data.count(b"\r\n") == data.count(b"\n") == data.count(b"\r") or _has_long_line(data):
        raise MessageRefused("the mail has a bare line break or a line that is too long; nothing was sent")


def _has_long_line(data: bytes) -> bool:
    """Looks at one line end in a thousand octets, which is all that the question needs."""
    start = 0
    while len(data) - start > LINE_OCTETS:
        end = data.rfind(b"\r\n", start, start + LINE_OCTETS + 2)
        if end < 0:
            return True
        start = end + 2
    return False


def _phrase(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]+", name):
        return name
    return _words(name, len("From: "))


def _words(text: str, used: int) -> str:
    """ASCII as it is where it fits, else encoded words that never split a character (RFC 2047, section 5)."""
    if text.isascii() and used + len(text) <= 76:
        return text
    words: list[str] = []
    rest = ENCODED_WORD_OCTETS - used
    chunk = b""
    for character in text:
        octets = character.encode()
        if len(base64.b64encode(chunk + octets)) + len("=?utf-8?b??=") > rest:
            words.append(_word(chunk))
            chunk, rest = b"", ENCODED_WORD_OCTETS
        chunk += octets
    words.append(_word(chunk))
    return "\r\n ".join(words)


def _word(octets: bytes) -> str:
    return f"=?utf-8?b?{base64.b64encode(octets).decode('ascii')}?="


def _date(moment: datetime) -> str:
    """RFC 5322, section 3.3, whatever the locale of the process."""
    iso = moment.isoformat(timespec="seconds")  # 2025-12-18T23:00:05+00:00
    day = f"{DAYS[moment.weekday()]}, {moment.day:02} {MONTHS[moment.month - 1]} {moment.year:04}"
    return f"{day} {iso[11:19]} {iso[19:22]}{iso[23:25]}"
