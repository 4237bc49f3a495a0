"""A letter on its way: the mail, the mailer, and what a server's answer means for the job."""

import random
import time
from collections.abc import Callable
from datetime import datetime

from yellowbooks.jobs import Lease, Paused, Permanent, RetryAfter, Uncertain
from yellowbooks.mail import (
    DeliveryUncertain,
    Mailbox,
    Mailer,
    Message,
    MessageRefused,
    NoSuppressions,
    Refused,
    Reply,
    Suppressions,
    Unusable,
    compose,
    quiet,
    unrepeated,
)
from yellowbooks.signin.event import wire_address
from yellowbooks.signin.letter import Letter

FRESH_SECONDS = 86_400.0  # an alert that is older helps nobody any more
WAITS = (60.0, 300.0, 900.0)  # of a mail that is put off, by how long it has been waiting already
JITTER = 0.25  # of a wait that nobody asked for
LATE_SECONDS = 4.0  # at most, after a wait that the server asked for
ALARM_SECONDS = 3600.0  # how often one cause is told to the operator
CONFIG_SECONDS = 60.0

Tell = Callable[..., None]
Seal = Callable[[Message], Message]
"""Signs a mail that is ready."""
Write = Callable[[], Message]
Hide = Callable[[str], str]
Link = Callable[[str, str, str, datetime], str]
"""The address of the page «this was not me», from a job's id, a user's id, a language and the mail's time."""


def no_link(_job_id: str, _user_id: str, _language: str, _moment: datetime) -> str:
    """Letters without a link."""
    return ""


class Delivery:
    """Sends letters. The same job, letter and date make the same bytes, so a second copy is the same mail."""

    def __init__(
        self, mailer: Mailer, sender: Mailbox, secret: bytes = b"", *, suppressions: Suppressions | None = None,
        seal: Seal = lambda mail: mail, tell: Tell = quiet,
    ) -> None:  # fmt: skip
        self._seal = seal
        self._mailer = mailer
        self.sender = sender
        self.secret = secret
        self._suppressions = suppressions or NoSuppressions()
        self.tell = tell
        self._alarmed: dict[str, float] = {}

    async def admit(self, email: str, age: float) -> str:
        """The address as the server takes it. Raises `Permanent` where a mail that is `age` seconds late, or any mail
        to this address, is not to be sent."""
        if age > FRESH_SECONDS:
            raise Permanent(f"the alert is {age / 3600:.0f} h old, too late to be of use", cause="expired")
        recipient = wire_address(email)
        if why := await self._suppressions.suppressed(recipient):
            raise Permanent(f"the address gets no mail: {why}", cause="suppressed")
        return recipient

    async def send(self, lease: Lease, recipient: str, write: Write, age: float, hide: Hide) -> str:
        """Send the mail that `write` gives; gives the server's words and the Message-ID. A server may repeat anything
        that it was told: `hide` takes that out of its words before they are told, kept or stored.

        Raises what `jobs` makes an outcome of; no error holds the address.
        """
        try:
            with unrepeated(hide):
                return await self._send(lease, recipient, write())
        except MessageRefused as error:
            raise Permanent(str(error), cause="message") from error
        except DeliveryUncertain as error:
            raise Uncertain(str(error), cause=error.cause) from error
        except Unusable as error:
            raise Paused(str(error), error.seconds, cause=error.cause) from error
        except Refused as error:
            if error.reply.verdict == "retry":
                raise
            raise await self._refused(error, recipient, age) from error

    async def _send(self, lease: Lease, recipient: str, message: Message) -> str:
        words = await self._mailer.send(self._seal(message), lease.commit)
        self.tell("sent", job=lease.job_id, kind=lease.kind, attempt=lease.attempt, reply=words)
        try:
            await self._suppressions.delivered(recipient)
        except Exception as error:  # the mail was taken: whatever fails now must not send it again
            self.tell("failed", job=lease.job_id, error=f"the list of suppressed addresses: {error!r}")
        return f"{words} {message.message_id}"

    async def _refused(self, error: Refused, recipient: str, age: float) -> Exception:
        """The outcome of a mail that the server refused, and what others are to know of it."""
        reply, why = error.reply, str(error)
        if reply.verdict == "defer":
            return RetryAfter(_wait(reply, age), why, cause=error.cause)
        if reply.verdict == "config":
            return RetryAfter(CONFIG_SECONDS, why, cause=error.cause)
        if reply.verdict == "suppress":
            await self._suppressions.suppress(recipient, str(reply))
        elif reply.verdict == "strike":
            await self._suppressions.strike(recipient, str(reply))
        elif reply.verdict == "policy":
            self._alarm(why, error.cause)
        return Permanent(why, cause=error.cause)

    def _alarm(self, why: str, cause: str) -> None:
        """A server does not trust us: told once an hour, not once a mail."""
        moment = time.monotonic()
        if moment - self._alarmed.get(cause, -ALARM_SECONDS) >= ALARM_SECONDS:
            self._alarmed[cause] = moment
            self.tell("smtp_policy", error=why, cause=cause)


def post(letter: Letter, email: str, *, sender: Mailbox, secret: bytes, key: str, date: datetime) -> Message:
    """A letter as the mail of one job. Raises `MessageRefused`."""
    return compose(
        sender=sender,
        recipient=wire_address(email),
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        language=letter.language,
        key=key,
        date=date,
        secret=secret,
    )


def _wait(reply: Reply, age: float) -> float:
    """Seconds to wait: what the server asked for and a little, or the next of our own waits, spread."""
    spread = random.random()  # noqa: S311  # nosec B311 # no secret
    if reply.hinted:
        return reply.wait + spread * min(LATE_SECONDS, reply.wait / 10)
    wait = max(reply.wait, next((wait for wait in WAITS if age < wait), WAITS[-1]))
    return wait * (1 + JITTER * spread)
