"""Sign-ins that are not told at once stand in a summary: a kind of job of its own, due when the window ends."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from yellowbooks.jobs import (
    Backoff,
    Finder,
    Hiding,
    Kind,
    Lease,
    Payload,
    Permanent,
    Rate,
    Receipt,
    RetryAfter,
    Seal,
    unhandled,
)  # fmt: skip
from yellowbooks.mail import Message
from yellowbooks.signin.delivery import FRESH_SECONDS, Delivery, Link, Tell, post
from yellowbooks.signin.event import SignIn, private_parts, reached
from yellowbooks.signin.letter import DEFAULT_ZONE, Letters
from yellowbooks.signin.notices import Closed, Group, Notices, Verdict

AWAY_SECONDS = 5.0
FULL_SECONDS = 30.0
SUMMARY = "signin-summary"

Admit = Callable[..., Awaitable[tuple[str, Receipt]]]


class Summary(Payload):
    """The summary of a window: whom it goes to and in which words. What it tells stands in the window."""

    window: str
    user_id: str
    email: str
    due: int
    locale: str | None = None
    time_zone: str | None = None

    def private(self) -> Iterable[str]:
        """Whoever it goes to."""
        return private_parts(self.user_id, self.email)

    def about(self) -> Mapping[str, str]:
        """The user whose sign-in opened the window ("": he was erased, and others are left), and the address."""
        return {"user": self.user_id, "address": reached(self.email)}


SummaryHandler = Callable[[Lease, Summary], Awaitable[str | None]]


def summary_kind(
    handler: SummaryHandler = unhandled, *, backoff: Backoff, wait: float, channel: str, quota: Rate | None = None,
    finder: Finder[Any] | None = None, seal: Seal | None = None,
) -> Kind[Summary]:  # fmt: skip
    """Its jobs wait up to `wait` seconds for their window to end; put off, they live a day longer."""
    return Kind(
        SUMMARY, Summary, handler, None, backoff, doubt="resend_once", channel=channel, quota=quota,
        deadline=wait + FRESH_SECONDS, finder=finder, seal=seal,
    )  # fmt: skip


class Telling:
    """Decides how a sign-in is told, and sees to it that the summary is in the queue before the sign-in's job ends.

    The memory that is away spends no attempt: the job comes again.
    """

    def __init__(self, notices: Notices, admit: Admit, kind: Kind[Summary], tell: Tell) -> None:
        self._notices = notices
        self._admit = admit
        self._kind = kind
        self._tell = tell

    async def decide(self, lease: Lease, sign_in: SignIn) -> tuple[Verdict, str]:
        """How it is told, and where: "" at once, else in which job. Raises `RetryAfter`."""
        try:
            verdict = await self._notices.decide(lease.job_id, sign_in, lease.created)
            if verdict.alarm:
                alarm(self._tell, verdict.alarm, lease)
            if verdict.told == "now":
                return verdict, ""
            summary = Summary(
                job_id=f"summary-{verdict.window}", window=verdict.window, user_id=sign_in.user_id,
                email=sign_in.email, due=verdict.due, locale=sign_in.locale, time_zone=sign_in.time_zone,
            )  # fmt: skip
            job_id, receipt = await self._admit(self._kind, summary, delay=max(verdict.due - lease.started, 0) / 1000)
            if receipt.word == "full":
                raise RetryAfter(FULL_SECONDS, "too many jobs are waiting, so its summary is not in the queue yet")
            await self._notices.kept(lease.job_id, sign_in)
        except ConnectionError as error:
            raise RetryAfter(AWAY_SECONDS, f"the memory of devices is away: {error}") from error
        return verdict, f"{'over the limit, ' * bool(verdict.cap)}told in job {job_id}"

    async def told(self, lease: Lease, sign_in: SignIn) -> None:
        """The mail was taken: whatever fails now must not send it again."""
        try:
            await self._notices.told(lease.job_id, sign_in)
        except ConnectionError as error:
            self._tell("failed", job=lease.job_id, error=f"the memory of devices: {error}")


def alarm(tell: Tell, cap: str, lease: Lease) -> None:
    """A cap against floods of mail was reached: told once an hour over all workers."""
    setting = "YB_RECIPIENT_LIMIT" if cap == "recipient" else "YB_TOTAL_LIMIT"
    whose = "one address" if cap == "recipient" else "everybody"
    tell("mail_flood", job=lease.job_id, cap=cap, error=f"the limit of mails for {whose} is reached; what is over goes "
         f"into summaries; see who signs in so often, or raise {setting}")  # fmt: skip


class SummaryMailer:
    """Sends the mail about the sign-ins of one window."""

    def __init__(self, letters: Letters, notices: Notices, delivery: Delivery, link: Link) -> None:
        self._letters = letters
        self._notices = notices
        self._delivery = delivery
        self._link = link

    async def __call__(self, lease: Lease, summary: Summary) -> str:
        """One attempt; gives the server's words and the mail's Message-ID.

        Raises what `jobs` makes an outcome of; no error holds the address.
        """
        late = (lease.started - summary.due) / 1000
        recipient = await self._delivery.admit(summary.email, late)
        closed = await self._close(lease, summary)
        if closed.wait:
            raise RetryAfter(closed.wait / 1000, "everybody's limit of mails is reached", cause="mail_flood")
        if not closed.groups:
            if lease.uncertain or lease.attempt > 1:
                return "an attempt before has told of them all"
            raise Permanent("its window holds nothing; nothing was sent", cause="empty")
        hide = Hiding([*summary.private(), *(one.parts.ip_address or "" for one in closed.groups)])
        words = await self._delivery.send(
            lease, recipient, lambda: self._write(lease, summary, closed.groups), max(late, 0.0), hide
        )
        try:
            await self._notices.summed(summary.window)
        except ConnectionError as error:
            self._delivery.tell("failed", job=lease.job_id, error=f"the memory of devices: {error}")
        return words

    def _write(self, lease: Lease, summary: Summary, groups: Sequence[Group]) -> Message:
        due = datetime.fromtimestamp(summary.due / 1000, UTC)
        language, zone = self._letters.language(summary.locale), summary.time_zone or DEFAULT_ZONE
        # One link ends the sessions of one user: who shares an address with others gets none.
        alone = {group.user for group in groups} == {groups[0].user} != {""} and summary.user_id != ""
        link = self._link(lease.job_id, summary.user_id, language, due) if alone else ""
        letter = self._letters.summarize(groups, summary.email, language, zone, link)
        sender, secret = self._delivery.sender, self._delivery.secret
        return post(letter, summary.email, sender=sender, secret=secret, key=lease.job_id, date=due)

    async def _close(self, lease: Lease, summary: Summary) -> Closed:
        try:
            closed = await self._notices.close(summary.window, summary.email)
        except ConnectionError as error:
            raise RetryAfter(AWAY_SECONDS, f"the memory of devices is away: {error}") from error
        if closed.alarm:
            alarm(self._delivery.tell, closed.alarm, lease)
        return closed
