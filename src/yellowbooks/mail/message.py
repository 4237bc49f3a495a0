"""A mail from its parts to its bytes: the same parts give the same bytes, on every attempt."""

import base64
import re
from dataclasses import dataclass
from datetime import datetime

from yellowbooks.mail.identity import identify

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
_HEADER_NAME = re.compile(rb"^([!-9;-~]+):", re.MULTILINE)


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
    *, sender: Mailbox, recipient: str, subject: str, text: str, html: str, language: str, key: str, date: datetime,
    secret: bytes = b"",
) -> Message:  # fmt: skip
    """One mail for one recipient: multipart/alternative, the text first (RFC 2046, section 5.1.4).

    Message-ID and boundary come from `key` (and `secret`), so that a second copy of the mail is the same mail.
    Raises `MessageRefused`.
    """
    if not _ADDRESS.fullmatch(recipient) or _FORBIDDEN.search(recipient):
        raise MessageRefused("the recipient is no plain address; correct it where it came from")
    for value in (subject, sender.name, sender.address, language, key):
        if _FORBIDDEN.search(value):
            raise MessageRefused("a header holds a control character or an encoded word; correct the template")
    digest = identify(key, recipient, secret)
    message_id = f"<{digest}@{sender.address.rpartition('@')[2]}>"
    boundary = f"=_{digest}"
    lines = [
        f"From: {_phrase(sender.name)} <{sender.address}>" if sender.name else f"From: {sender.address}",
        f"To: {recipient}",
        f"Subject: {_words(subject, len('Subject: '))}",
        f"Date: {_date(date)}",
        f"Message-ID: {message_id}",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        f"Content-Language: {language}",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
        "",
        *_part(boundary, "plain", text),
        *_part(boundary, "html", html),
        f"--{boundary}--",
        "",
    ]
    data = "\r\n".join(lines).encode("ascii")
    check(data)
    return Message(message_id, sender.address, recipient, subject, data)


def check(data: bytes, signatures: int = 0) -> None:
    """The last gate before the wire: our headers and no others, once each; CRLF alone; no line over 998 octets.

    `signatures` is how many DKIM-Signature headers of ours stand before them.

    Raises `MessageRefused`.
    """
    head = data.partition(b"\r\n\r\n")[0]
    names = tuple(name.decode() for name in _HEADER_NAME.findall(head.replace(b"\r\n", b"\n")))
    if names != (SIGNATURE,) * signatures + HEADERS:
        raise MessageRefused("the mail's headers are not the expected ones; nothing was sent")
    if re.search(rb"(?<!\r)\n|\r(?!\n)", data) or max(map(len, data.split(b"\r\n"))) > LINE_OCTETS:
        raise MessageRefused("the mail has a bare line break or a line that is too long; nothing was sent")


def _part(boundary: str, subtype: str, content: str) -> list[str]:
    """Base64, as 8-bit text is re-encoded on its way by servers without 8BITMIME, which breaks a signature."""
    crlf = re.sub(r"\r\n|\r|\n", "\r\n", content)
    encoded = base64.encodebytes(crlf.encode("utf-8", "strict")).decode("ascii").split()
    return [
        f"--{boundary}",
        f"Content-Type: text/{subtype}; charset=utf-8",
        "Content-Transfer-Encoding: base64",
        "",
        *encoded,
        "",
    ]


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
    return (
        f"{DAYS[moment.weekday()]}, {moment.day:02} {MONTHS[moment.month - 1]} {moment.year:04} "
        f"{moment:%H:%M:%S} {moment.strftime('%z')}"
    )
