"""The transport: from a letter's words to bytes, and from bytes to a server or the local inbox."""

from typing import Protocol

from yellowbooks.mail.inbox import Inbox, InboxEntry, InboxMail
from yellowbooks.mail.lint import Finding, lint
from yellowbooks.mail.message import Mailbox, Message, MessageRefused, compose, mailbox
from yellowbooks.mail.quoted import Quoted, Skeleton
from yellowbooks.mail.reply import Reply
from yellowbooks.mail.smtp import Commit, DeliveryUncertain, Refused, SmtpMailer, SmtpServer, Unreachable


class Mailer(Protocol):
    """Takes mails away: `SmtpMailer`, or `Inbox` where there is no server."""

    async def send(self, message: Message, commit: Commit) -> str:
        """Send one mail, calling `commit` just before it cannot be undone; gives the receiver's words."""
        ...

    async def aclose(self) -> None:
        """Close what is open."""
        ...


__all__ = [
    "Commit", "DeliveryUncertain", "Finding", "Inbox", "InboxEntry", "InboxMail", "Mailbox", "Mailer", "Message",
    "MessageRefused", "Quoted", "Refused", "Reply", "Skeleton", "SmtpMailer", "SmtpServer", "Unreachable", "compose",
    "lint", "mailbox",
]  # fmt: skip
