"""A mail from its parts to its bytes: the same parts give the same bytes, on every attempt."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import msgspec

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

# In braces what a sender and a template fix, «%» where there is what differs from mail to mail. The parts are
# quoted-printable: 8-bit text is re-encoded on its way by servers without 8BITMIME, which breaks a signature.
_LAYOUT = "\r\n".join((
    "From: {sender}",
    "To: %",
    "Subject: {subject}",
    "Date: %",
    "Message-ID: %",
    "Auto-Submitted: auto-generated",
    "X-Auto-Response-Suppress: All",
    "Content-Language: {language}",
    "MIME-Version: 1.0",
    "Content-Type: multipart/alternative;",
    ' boundary="%"',
    "",
    "--%",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    "%",
    "--%",
    "Content-Type: text/html; charset=utf-8",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    "%",
    "--%--",
    "",
))  # fmt: skip


class MessageRefused(ValueError):
    """A value that must not stand in a mail; nothing was sent."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name and an address (RFC 5322, section 3.4)."""

    name: str
    address: str


class Message(msgspec.Struct, frozen=True):
    """A mail ready for the wire; `sender` and `recipient` are those of the envelope, `signatures` at its head ours.

    `sound` says that its body was put together from `Quoted` parts and needs no further look.
    """

    message_id: str
    sender: str
    recipient: str
    subject: str
    data: bytes
    signatures: int = 0
    sound: bool = False


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
    plain = text if isinstance(text, Quoted) else quoted(text)
    rich = html if isinstance(html, Quoted) else quoted(html)
    boundary = b"=_" + digest.encode()
    gaps = (
        recipient.encode(), _date(date).encode(), message_id.encode(),
        boundary, boundary, plain, boundary, rich, boundary,
    )  # fmt: skip
    parts = [b""] * (len(frame) + len(gaps))
    parts[::2], parts[1::2] = frame, gaps
    return Message(message_id, sender.address, recipient, subject, b"".join(parts), sound=True)


@lru_cache(maxsize=256)
def _frame(sender: Mailbox, subject: str, language: str) -> tuple[bytes, ...]:
    """What the mails of one sender, subject and language have in common, cut at the gaps. Raises `MessageRefused`."""
    for value in (subject, sender.name, sender.address, language):
        if _FORBIDDEN.search(value):
            raise MessageRefused("a header holds a control character or an encoded word; correct the template")
    fixed = {
        "sender": f"{_phrase(sender.name)} <{sender.address}>" if sender.name else sender.address,
        "subject": _words(subject, len("Subject: ")),
        "language": language,
    }
    return tuple(piece.format_map(fixed).encode("ascii") for piece in _LAYOUT.split("%"))


def check(message: Message) -> None:
    """The last gate, which every mailer calls before the wire. Raises `MessageRefused`.

    Our headers and no others, once each, after as many DKIM-Signature headers of ours as `signatures` says; CRLF alone;
    no line over 998 octets. The body of a `sound` mail is known to be so.
    """
    data = message.data
    head = data[: data.find(b"\r\n\r\n") + 4]
    if not _headers(message.signatures).fullmatch(head):
        raise MessageRefused("the mail's headers are not the expected ones; nothing was sent")
    lines = head if message.sound else data
    if not lines.count(b"\r\n") == lines.count(b"\n") == lines.count(b"\r") or _has_long_line(lines):
        raise MessageRefused("the mail has a bare line break or a line that is too long; nothing was sent")


@lru_cache(maxsize=8)
def _headers(signatures: int) -> re.Pattern[bytes]:
    """Each header with its folded lines (RFC 5322, section 2.2.3), and the empty line."""
    names = (SIGNATURE,) * signatures + HEADERS
    return re.compile("".join(rf"{name}:[^\n]*\n(?:[ \t][^\n]*\n)*" for name in names).encode() + rb"\r\n")


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
    day = f"{DAYS[moment.weekday()]}, {iso[8:10]} {MONTHS[moment.month - 1]} {iso[:4]}"
    return f"{day} {iso[11:19]} {iso[19:22]}{iso[23:25]}"
