"""The job: write the letter, hand it to the mailer, and say what came of it."""

from collections.abc import Callable
from datetime import UTC, datetime

from yellowbooks.jobs import Lease, Permanent, RetryAfter, Uncertain
from yellowbooks.mail import (
    DeliveryUncertain,
    Mailbox,
    Mailer,
    Message,
    MessageRefused,
    NoSuppressions,
    Refused,
    Suppressions,
    compose,
)
from yellowbooks.signin.browser import warm_up
from yellowbooks.signin.event import SignIn, wire_address
from yellowbooks.signin.letter import Letters

Seal = Callable[[Message], Message]
"""Signs a mail that is ready."""


class SignInHandler:
    """Sends the mail about one sign-in. Every attempt makes the same bytes, so a second copy is the same mail."""

    def __init__(
        self, letters: Letters, mailer: Mailer, sender: Mailbox, secret: bytes = b"", *,
        suppressions: Suppressions | None = None, seal: Seal = lambda mail: mail,
    ) -> None:  # fmt: skip
        warm_up()
        self._seal = seal
        self._letters = letters
        self._mailer = mailer
        self._sender = sender
        self._secret = secret
        self._suppressions = suppressions or NoSuppressions()

    async def __call__(self, lease: Lease, sign_in: SignIn) -> None:
        """One attempt. Raises what `jobs` makes an outcome of; no error holds the address."""
        if why := await self._suppressions.suppressed(wire_address(sign_in.email)):
            raise Permanent(f"the address gets no mail: {why}", cause="suppressed")
        created = datetime.fromtimestamp(lease.created / 1000, UTC)
        letter = self._letters.write(sign_in, created)
        try:
            message = compose(
                sender=self._sender,
                recipient=wire_address(sign_in.email),
                subject=letter.subject,
                text=letter.text,
                html=letter.html,
                language=letter.language,
                key=lease.job_id,
                date=created,
                secret=self._secret,
            )
            await self._mailer.send(self._seal(message), lease.commit)
            await self._suppressions.delivered(message.recipient)
        except MessageRefused as error:
            raise Permanent(str(error)) from error
        except DeliveryUncertain as error:
            raise Uncertain(str(error)) from error
        except Refused as error:
            if error.reply.verdict == "permanent":
                raise Permanent(str(error)) from error
            if error.reply.retry_after:
                raise RetryAfter(error.reply.retry_after, str(error)) from error
            raise
