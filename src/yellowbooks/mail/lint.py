"""What is wrong with a finished mail: a checklist over its bytes. docs/mail.md has the list, id by id."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from email.header import decode_header
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as MODERN
from email.utils import parsedate_to_datetime

from yellowbooks.mail.lint_html import Page, read_page
from yellowbooks.mail.message import ENCODED_WORD_OCTETS, LINE_OCTETS

ONCE = ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type")  # RFC 5322, section 3.6
HEADER_COLUMNS = 78  # RFC 5322, section 2.1.1
TEXT_COLUMNS = 76
CLIPPED = 100_000  # octets of HTML; Gmail hides what comes near 102 KB
WORD = 40  # characters; a longer one is a value that no template can break

_WORD = re.compile(r"=\?[^?\s]+\?[bBqQ]\?([^?\s]*)\?=")
# A link that a mail reader makes by itself: a scheme, www., or a name with dots that ends like a domain.
_LINK = re.compile(r"\b\w+://\S+|\bwww\.\S+|[\w.%+*-]*@?(?<![\w.])[\w-]+(?:[.\u3002\uff0e\uff61\u2024]\w[\w-]*)+", re.I)
_MASKED = re.compile(r"\S*\*{3}@\S+")  # the reader's own address, as a letter shows it
_DOMAIN = re.compile(r"[.\u3002\uff0e\uff61\u2024](?!\d)\w[\w-]+$")
_INITIAL = re.compile(r"^[А-ЯЁӨҮ]\.[А-ЯЁӨҮ]", re.IGNORECASE)  # «Б.Бат» is how a Mongolian signs
_HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e0fff]"
)
_ZONE = re.compile(r"\b(?:Asia|Europe|America|Africa|Australia|Pacific|Etc)/\w+")
# Letters that stand for ө and ү where a keyboard or a font has none of them.
_WRONG_LETTER = re.compile(r"[а-яё][vγɵѳєұ]|[vγɵѳєұ][а-яё]", re.IGNORECASE)
_OWN_PASSWORD = re.compile(r"Yellow Books[^.:\n]{0,24}(?:password|нууц үг)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that a mail breaks: `line` counts from 1 in `part`, which is headers, text or html."""

    line: int
    id: str
    why: str
    part: str


@dataclass(frozen=True, slots=True)
class _Mail:
    raw: bytes
    head: list[bytes]
    parsed: EmailMessage
    text: list[str]
    html: str
    page: Page
    site: str

    @property
    def domain(self) -> str:
        """The domain of From."""
        return str(self.parsed["From"] or "").rpartition("@")[2].strip(" >").lower()

    def line_of(self, name: str) -> int:
        """Where a header stands; 1 where it is missing."""
        start = f"{name}:".lower().encode()
        return next((n for n, line in enumerate(self.head, 1) if line.lower().startswith(start)), 1)


def lint(data: bytes, site: str = "") -> list[Finding]:
    """Every finding in a finished mail, in the order of its parts; nothing where it keeps to the checklist.

    Links may lead to the domain `site` (From's, where it is "") and to those below it.
    """
    parsed = BytesParser(_class=EmailMessage, policy=MODERN).parsebytes(data)
    head = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
    html = _body(parsed, "html")
    mail = _Mail(data, head, parsed, _body(parsed, "plain").split("\n"), html, read_page(html), site)
    if not site:
        mail = replace(mail, site=mail.domain)
    return [finding for check in _CHECKS for finding in check(mail)]


def _body(mail: EmailMessage, subtype: str) -> str:
    try:
        part = mail.get_body((subtype,))
        return str(part.get_content()).replace("\r\n", "\n") if part else ""
    except (LookupError, KeyError):  # no such charset, or no body at all: H9 says so
        return ""


def _headers(mail: _Mail) -> Iterator[Finding]:
    names = [name.lower() for name in mail.parsed]
    for name in ONCE:
        if names.count(name.lower()) != 1:
            yield Finding(mail.line_of(name), "H1", f"{name} must stand there once", "headers")
    wanted = (("Auto-Submitted", "auto-generated", "H4"), ("X-Auto-Response-Suppress", "All", "H4"))
    for name, value, rule in wanted:
        if str(mail.parsed[name]) != value:
            yield Finding(mail.line_of(name), rule, f"{name} must be «{value}»", "headers")
    for name, rule, why in (
        ("Precedence", "H4", "marks bulk mail; remove it"),
        ("List-Unsubscribe", "H5", "lets whoever reads one alert silence the next; remove it"),
        ("List-Unsubscribe-Post", "H5", "lets whoever reads one alert silence the next; remove it"),
    ):
        if name.lower() in names:
            yield Finding(mail.line_of(name), rule, f"{name} {why}", "headers")
    if not mail.parsed["Content-Language"] or str(mail.parsed["Content-Language"]) != mail.page.lang:
        why = "Content-Language must be the language of the page's <html lang>"
        yield Finding(mail.line_of("Content-Language"), "H6", why, "headers")
    yield from _identity(mail)


def _identity(mail: _Mail) -> Iterator[Finding]:
    try:
        offset = parsedate_to_datetime(str(mail.parsed["Date"])).tzinfo
    except ValueError:
        offset = None
    if offset is None:
        yield Finding(mail.line_of("Date"), "H2", "Date must be one of RFC 5322, with its offset", "headers")
    if not re.fullmatch(rf"<[^\s<>@]+@{re.escape(mail.domain)}>", str(mail.parsed["Message-ID"]).strip().lower()):
        why = "Message-ID must be <key@domain>, with the domain of From"
        yield Finding(mail.line_of("Message-ID"), "H3", why, "headers")
    if "@" in re.sub(r"<[^<>]*>\s*$", "", str(mail.parsed["From"])) and "<" in str(mail.parsed["From"]):
        yield Finding(mail.line_of("From"), "H14", "the name in From must not look like an address", "headers")


def _lines(mail: _Mail) -> Iterator[Finding]:
    for number, line in enumerate(mail.head, 1):
        if len(line) > HEADER_COLUMNS and b" " in line.partition(b": ")[2].strip():
            yield Finding(number, "H10", f"a header line is longer than {HEADER_COLUMNS} octets; fold it", "headers")
        for word in _WORD.finditer(line.decode("latin-1")):
            if len(word[0]) > ENCODED_WORD_OCTETS or not _decodes(word[0]):
                yield Finding(number, "H11", "an encoded word is longer than 75 octets or splits a letter", "headers")
        if re.search(rb"<[^<>]*=\?", line):
            yield Finding(number, "H11", "an address holds an encoded word", "headers")
    if not len(re.findall(rb"\r\n", mail.raw)) == mail.raw.count(b"\n") == mail.raw.count(b"\r"):
        yield Finding(1, "H10", "a line ends with CR or LF alone; every line ends with CRLF", "headers")
    if max(map(len, mail.raw.split(b"\r\n"))) > LINE_OCTETS:
        yield Finding(1, "H10", f"a line is longer than {LINE_OCTETS} octets", "headers")


def _decodes(word: str) -> bool:
    try:
        return all(isinstance(part, str) or part.decode(charset or "ascii") for part, charset in decode_header(word))
    except (ValueError, LookupError):
        return False


def _structure(mail: _Mail) -> Iterator[Finding]:
    parts = list(mail.parsed.iter_parts()) if mail.parsed.is_multipart() else []
    kinds = [part.get_content_type() for part in parts]
    if mail.parsed.get_content_type() != "multipart/alternative" or kinds != ["text/plain", "text/html"]:
        why = "must be multipart/alternative with a text part, then an HTML part, and nothing else"
        yield Finding(mail.line_of("Content-Type"), "H8", why, "headers")
    for part, name in zip(parts, ("text", "html"), strict=False):
        encoding = str(part["Content-Transfer-Encoding"] or "7bit").lower()
        if part.get_content_charset() != "utf-8" or encoding not in ("base64", "quoted-printable"):
            yield Finding(1, "H9", "must be utf-8 in base64 or quoted-printable, so that no server encodes it", name)
    if len(mail.html.encode("utf-8", "replace")) > CLIPPED:
        yield Finding(1, "H13", f"the HTML is larger than {CLIPPED} octets; Gmail clips it", "html")


def _text(mail: _Mail) -> Iterator[Finding]:
    for number, line in enumerate(mail.text, 1):
        if len(line) > TEXT_COLUMNS and max(map(len, line.split())) <= WORD:
            yield Finding(number, "A8", f"is longer than {TEXT_COLUMNS} columns; break it", "text")
        if re.search(rf"(\W)\1{{{TEXT_COLUMNS},}}", line):
            yield Finding(number, "A8", f"a ruler is longer than {TEXT_COLUMNS} columns; shorten it", "text")
        if re.search(r"\bhttps?://", line) and len(line.split()) > 1:
            yield Finding(number, "A8", "an address of the web stands in a line of its own", "text")
        if re.search(r"</?(?:p|br|td|tr|h1|div|span|a|b|strong)\b[^>]*>|&(?:amp|lt|gt|quot|#\d+);", line):
            yield Finding(number, "A8", "HTML in the text part; write the text for itself", "text")
        yield from _words(mail, number, line, "text")
    spoken = " ".join(" ".join(mail.text).split())
    for value, number in mail.page.facts:
        if value not in spoken:
            yield Finding(number, "A9", f"«{value[:40]}» is in the HTML and not in the text", "html")


def _words(mail: _Mail, number: int, words: str, part: str) -> Iterator[Finding]:
    """What must not be said, in either part."""
    if hidden := _HIDDEN.search(words):
        yield Finding(number, "I2", f"holds an invisible or control character, U+{ord(hidden[0]):04X}", part)
    for link in _LINK.finditer(_MASKED.sub("", words)):
        if foreign(link[0], mail.site):
            yield Finding(number, "I4", f"«{link[0][:40]}» is made a link by mail readers, and is not ours", part)
    if zone := _ZONE.search(words):
        yield Finding(number, "L3", f"«{zone[0]}» will be read as a place; print the offset, such as (UTC+8)", part)
    if mail.page.lang == "mn" and (wrong := _WRONG_LETTER.search(words)):
        yield Finding(number, "L6", f"«{wrong[0]}» holds a letter that is not Mongolian; write ө or ү", part)
    if _OWN_PASSWORD.search(words):
        why = "names a Yellow Books password, which who signs in with a provider does not have"
        yield Finding(number, "L7", why, part)
    address = str(mail.parsed["To"] or "").strip(" <>").lower()
    if address and address in words.lower():
        yield Finding(number, "P1", "holds the reader's whole address; mask it", part)


def foreign(link: str, own: str) -> bool:
    """Whether a word is something that readers make a link of, and leads elsewhere than to the domain `own`.

    An IP address is no link.
    """
    if _INITIAL.match(link):
        return False
    host = re.sub(r"^\w+://", "", link).partition("/")[0].rstrip(".,:;!?)").lower()
    if "://" not in link and not host.startswith("www.") and not _DOMAIN.search(host):
        return False
    return not (host == own or host.endswith(f".{own}")) or link.lower().startswith("http:")


def _html(mail: _Mail) -> Iterator[Finding]:
    subject = str(mail.parsed["Subject"] or "")
    for number, rule, why in mail.page.findings(subject, mail.site):
        yield Finding(number, rule, why, "html")
    for words, number in mail.page.words:
        yield from _words(mail, number, words, "html")


_CHECKS: tuple[Callable[[_Mail], Iterator[Finding]], ...] = (_headers, _lines, _structure, _text, _html)
