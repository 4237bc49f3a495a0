"""The job: write the letter, hand it to the mailer, and say what came of it."""

from datetime import UTC, datetime

from yellowbooks.jobs import Hiding, Lease
from yellowbooks.mail import Mailbox, Mailer, Message, Suppressions, quiet
from yellowbooks.signin.browser import warm_up
from yellowbooks.signin.delivery import Delivery, Link, Seal, Tell, no_link, post
from yellowbooks.signin.event import SignIn
from yellowbooks.signin.letter import Letters
from yellowbooks.signin.summary import Telling


class SignInHandler:
    """Sends the mail about one sign-in. Every attempt makes the same bytes, so a second copy is the same mail.

    With `telling` (YB_NOTIFY) it asks first whether the sign-in is told at once or in a summary.
    """

    def __init__(
        self, letters: Letters, mailer: Mailer, sender: Mailbox, secret: bytes = b"", *,
        suppressions: Suppressions | None = None, seal: Seal = lambda mail: mail, tell: Tell = quiet,
        telling: Telling | None = None, link: Link = no_link,
    ) -> None:  # fmt: skip
        warm_up()
        self.letters = letters
        self.delivery = Delivery(mailer, sender, secret, suppressions=suppressions, seal=seal, tell=tell)
        self.link = link
        self._telling = telling

    async def __call__(self, lease: Lease, sign_in: SignIn) -> str:
        """One attempt; gives the server's words and the mail's Message-ID, or the job that will tell of it.

        Raises what `jobs` makes an outcome of; no error holds the address.
        """
        age = (lease.started - lease.created) / 1000
        recipient = await self.delivery.admit(sign_in.email, age)
        reason = ""
        if self._telling:
            verdict, summary = await self._telling.decide(lease, sign_in)
            if summary:
                return f"{verdict.reason}: {summary}"
            reason = verdict.reason
        words = await self.delivery.send(
            lease, recipient, lambda: self._write(lease, sign_in, reason), age, Hiding(sign_in.private())
        )
        if self._telling:
            await self._telling.told(lease, sign_in)
        return words

    def _write(self, lease: Lease, sign_in: SignIn, reason: str) -> Message:
        link = ""
        if self.letters.linked:
            moment = datetime.fromtimestamp(lease.created / 1000, UTC)
            link = self.link(lease.job_id, sign_in.user_id, self.letters.language(sign_in.locale), moment)
        return write_mail(
            self.letters, self.delivery.sender, self.delivery.secret, lease.job_id, lease.created, sign_in, reason, link
        )


def write_mail(
    letters: Letters, sender: Mailbox, secret: bytes, job_id: str, created: int, sign_in: SignIn, reason: str = "",
    link: str = "",
) -> Message:  # fmt: skip
    """The mail of one job, admitted at `created` (ms since 1970): the same bytes each time. Raises `MessageRefused`."""
    moment = datetime.fromtimestamp(created / 1000, UTC)
    letter = letters.write(sign_in, moment, reason, link)
    return post(letter, sign_in.email, sender=sender, secret=secret, key=job_id, date=moment)
