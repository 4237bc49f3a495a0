"""The transport: from a letter's words to bytes, and from bytes to a server or the local inbox."""

from typing import Protocol

from yellowbooks.mail.bounce import NoReport
from yellowbooks.mail.breaker import quiet
from yellowbooks.mail.dkim import Key, Signer, make_key
from yellowbooks.mail.identity import fold, name_in, name_of
from yellowbooks.mail.inbox import Inbox, InboxEntry, InboxMail, shown_parts
from yellowbooks.mail.intake import BounceIntake, Taken
from yellowbooks.mail.lint import Finding, lint
from yellowbooks.mail.message import Mailbox, Message, MessageRefused, compose, mailbox
from yellowbooks.mail.pool import Bounds
from yellowbooks.mail.quoted import Quoted, Skeleton
from yellowbooks.mail.reply import Reply, unrepeated
from yellowbooks.mail.server import SmtpServer, Times
from yellowbooks.mail.smtp import Commit, SmtpMailer
from yellowbooks.mail.suppression_list import Standing, SuppressionList, by_operator, lifted, worded
from yellowbooks.mail.suppressions import NoSuppressions, Suppressions
from yellowbooks.mail.trouble import DeliveryUncertain, Refused, Trouble, Unreachable, Unusable


class Mailer(Protocol):
    """Takes mails away: `SmtpMailer`, or `Inbox` where there is no server."""

    async def send(self, message: Message, commit: Commit) -> str:
        """Send one mail, calling `commit` just before it cannot be undone; gives the receiver's words."""
        ...

    async def aclose(self) -> None:
        """Close what is open."""
        ...


__all__ = [
    "BounceIntake",
    "Bounds",
    "Commit",
    "DeliveryUncertain",
    "Finding",
    "Inbox",
    "InboxEntry",
    "InboxMail",
    "Key",
    "Mailbox",
    "Mailer",
    "Message",
    "MessageRefused",
    "NoReport",
    "NoSuppressions",
    "Quoted",
    "Refused",
    "Reply",
    "Signer",
    "Skeleton",
    "SmtpMailer",
    "SmtpServer",
    "Standing",
    "SuppressionList",
    "Suppressions",
    "Taken",
    "Times",
    "Trouble",
    "Unreachable",
    "Unusable",
    "by_operator",
    "compose",
    "fold",
    "lifted",
    "lint",
    "mailbox",
    "make_key",
    "name_in",
    "name_of",
    "quiet",
    "shown_parts",
    "unrepeated",
    "worded",
]
