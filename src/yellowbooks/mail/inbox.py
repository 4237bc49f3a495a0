"""The local inbox: mails that are kept on disk because no SMTP server is set."""

import asyncio
import os
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import compat32
from email.policy import default as MODERN
from email.utils import parseaddr
from pathlib import Path

from yellowbooks.mail.message import Message, check
from yellowbooks.mail.smtp import Commit

KEPT = 1000
_ID = re.compile(r"\d{16}-[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class InboxEntry:
    """One line of the inbox; `id` names the mail, `received` is in UTC."""

    id: str
    received: datetime
    recipient: str
    subject: str


@dataclass(frozen=True, slots=True)
class InboxMail:
    """One mail: its two forms, its headers decoded and in order, and its bytes."""

    entry: InboxEntry
    text: str
    html: str
    headers: tuple[tuple[str, str], ...]
    data: bytes

    @property
    def source(self) -> str:
        """The bytes as text, as far as they are."""
        return self.data.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class _Known:
    """A mail of the list, and what a search looks through."""

    entry: InboxEntry
    words: str


class Inbox:
    """Keeps the newest `keep` mails in `folder`, one file each. Several processes may write and read at once."""

    def __init__(self, folder: Path, keep: int = KEPT) -> None:
        self._folder = folder
        self._keep = keep
        self._written = 0
        self._known: dict[str, _Known] = {}

    async def send(self, message: Message, commit: Commit) -> str:
        """Keep one mail; the same mail again replaces itself. Raises `OSError`, and what `commit` raises."""
        check(message)
        await commit()
        return await asyncio.to_thread(self._write, message)

    async def aclose(self) -> None:
        """Nothing is open."""

    def entries(self, limit: int, query: str = "", after: str = "") -> list[InboxEntry]:
        """The newest mails first, of those that are newer than the mail `after` and hold every word of `query`.

        A word is sought in recipient, subject and text, whatever its case.
        """
        wanted = query.casefold().split()
        found: list[InboxEntry] = []
        for path in sorted(self._paths(), reverse=True):
            if len(found) >= limit or path.stem <= after:
                break
            known = self._look(path)
            if known and all(word in known.words for word in wanted):
                found.append(known.entry)
        return found

    def count(self) -> int:
        """How many mails are kept."""
        return sum(1 for _ in self._paths())

    def changed(self) -> int:
        """A number that is another one after each mail that came or went, by whichever process."""
        try:
            return self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return 0

    def read(self, mail_id: str) -> InboxMail:
        """One mail. Raises `KeyError` where there is none of this id."""
        if not _ID.fullmatch(mail_id):
            raise KeyError(mail_id)
        try:
            data = (self._folder / f"{mail_id}.eml").read_bytes()
        except FileNotFoundError:
            raise KeyError(mail_id) from None
        mail = _parse(data)
        headers = tuple((name, " ".join(str(value).split())) for name, value in mail.items())
        return InboxMail(_entry(mail_id, mail), _body(mail, "plain"), _body(mail, "html"), headers, data)

    def find(self, message_id: str) -> InboxMail | None:
        """The mail of a Message-ID, or None where it is not kept (any more)."""
        digest = message_id.strip("<>").partition("@")[0]
        paths = list(self._folder.glob(f"*-{digest}.eml")) if re.fullmatch(r"[0-9a-f]{40}", digest) else []
        return self.read(paths[0].stem) if paths else None

    def about(self, names: Collection[str], addresses: Collection[str]) -> list[InboxEntry]:
        """The mails whose Message-ID has one of these names (see `identity.name_of`), or which go to one of these
        addresses, in lower case."""
        found = []
        for path in sorted(self._paths()):
            known = self._look(path)
            digest = path.stem.partition("-")[2]
            if known and (digest[:24] in names or _reached(known.entry.recipient) in addresses):
                found.append(known.entry)
        return found

    def remove(self, mail_id: str) -> None:
        """A mail goes, whether it is there or not. Raises `OSError`."""
        if _ID.fullmatch(mail_id):
            self._known.pop(mail_id, None)
            (self._folder / f"{mail_id}.eml").unlink(missing_ok=True)

    def _look(self, path: Path) -> _Known | None:
        """A mail of the list; each is read once, as a mail that is kept does not change."""
        if known := self._known.get(path.stem):
            return known
        try:
            entry, text = _glance(path.stem, path.read_bytes())
        except FileNotFoundError:
            return None  # pruned by another process since it was listed
        words = f"{entry.recipient} {entry.subject} {text}".casefold()
        while len(self._known) >= 2 * self._keep:
            self._known.pop(next(iter(self._known)), None)
        self._known[path.stem] = _Known(entry, words)
        return self._known[path.stem]

    def _paths(self) -> Iterator[Path]:
        return (path for path in self._folder.glob("*.eml") if _ID.fullmatch(path.stem))

    def _write(self, message: Message) -> str:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = message.message_id.strip("<>").partition("@")[0]
        before = list(self._folder.glob(f"*-{digest}.eml"))
        now = int(datetime.now(UTC).timestamp() * 1_000_000)
        path = before[0] if before else self._folder / f"{now:016}-{digest}.eml"
        draft = path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_bytes(message.data)
        draft.replace(path)
        self._written += 1
        if self._written % 50 == 1:
            self._prune()
        return f"kept as {path.stem}"

    def _prune(self) -> None:
        for path in sorted(self._paths(), reverse=True)[self._keep :]:
            path.unlink(missing_ok=True)


def shown_parts(data: bytes) -> tuple[str, str]:
    """The text and the HTML of a mail."""
    mail = _parse(data)
    return _body(mail, "plain"), _body(mail, "html")


def _parse(data: bytes) -> EmailMessage:
    return BytesParser(_class=EmailMessage, policy=MODERN).parsebytes(data)


def _glance(mail_id: str, data: bytes) -> tuple[InboxEntry, str]:
    """What the list and a search need, an eighth of the work of reading a mail: so a thousand take no second."""
    mail = BytesParser(policy=compat32).parsebytes(data)
    first = next((part for part in mail.walk() if part.get_content_type() == "text/plain"), None)
    content = first.get_payload(decode=True) if first else b""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else ""
    return InboxEntry(mail_id, _received(mail_id), _decoded(mail["To"]), _decoded(mail["Subject"])), text


def _decoded(value: object) -> str:
    try:
        return " ".join(str(make_header(decode_header(str(value or "")))).split())
    except (HeaderParseError, LookupError, UnicodeError):
        return str(value)


def _reached(recipient: str) -> str:
    return parseaddr(recipient)[1].strip().lower()


def _received(mail_id: str) -> datetime:
    return datetime.fromtimestamp(int(mail_id[:16]) / 1_000_000, UTC)


def _entry(mail_id: str, mail: EmailMessage) -> InboxEntry:
    return InboxEntry(mail_id, _received(mail_id), str(mail["To"] or ""), str(mail["Subject"] or ""))


def _body(mail: EmailMessage, subtype: str) -> str:
    part = mail.get_body((subtype,))
    return str(part.get_content()).replace("\r\n", "\n") if part else ""
