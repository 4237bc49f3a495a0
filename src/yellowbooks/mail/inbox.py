"""The local inbox: mails that are kept on disk because no SMTP server is set."""

import asyncio
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as MODERN
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
    """One mail, its two forms and its source."""

    entry: InboxEntry
    text: str
    html: str
    source: str


class Inbox:
    """Keeps the newest `keep` mails in `folder`, one file each. Several processes may write and read at once."""

    def __init__(self, folder: Path, keep: int = KEPT) -> None:
        self._folder = folder
        self._keep = keep
        self._written = 0

    async def send(self, message: Message, commit: Commit) -> str:
        """Keep one mail; the same mail again replaces itself. Raises `OSError`, and what `commit` raises."""
        check(message.data, message.signatures)
        await commit()
        return await asyncio.to_thread(self._write, message)

    async def aclose(self) -> None:
        """Nothing is open."""

    def entries(self, limit: int) -> list[InboxEntry]:
        """The newest mails first."""
        entries = []
        for path in sorted(self._paths(), reverse=True)[:limit]:
            try:
                entries.append(_entry(path.stem, _parse(path)))
            except FileNotFoundError:
                continue  # pruned by another process since it was listed
        return entries

    def read(self, mail_id: str) -> InboxMail:
        """One mail. Raises `KeyError` where there is none of this id."""
        if not _ID.fullmatch(mail_id):
            raise KeyError(mail_id)
        path = self._folder / f"{mail_id}.eml"
        try:
            mail = _parse(path)
            source = path.read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            raise KeyError(mail_id) from None
        return InboxMail(_entry(mail_id, mail), _body(mail, "plain"), _body(mail, "html"), source)

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


def _parse(path: Path) -> EmailMessage:
    return BytesParser(_class=EmailMessage, policy=MODERN).parsebytes(path.read_bytes())


def _entry(mail_id: str, mail: EmailMessage) -> InboxEntry:
    received = datetime.fromtimestamp(int(mail_id[:16]) / 1_000_000, UTC)
    return InboxEntry(mail_id, received, str(mail["To"] or ""), str(mail["Subject"] or ""))


def _body(mail: EmailMessage, subtype: str) -> str:
    part = mail.get_body((subtype,))
    return str(part.get_content()).replace("\r\n", "\n") if part else ""
