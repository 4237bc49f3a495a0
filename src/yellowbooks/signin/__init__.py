"""The first kind of job: a mail that tells a person of a sign-in to their account."""

from collections.abc import Awaitable, Callable

from yellowbooks.jobs import Backoff, Kind, Lease, Rate, unhandled
from yellowbooks.signin.delivery import FRESH_SECONDS, Delivery, Link, no_link
from yellowbooks.signin.doubt import AMBIGUOUS_TOTAL, ambiguous
from yellowbooks.signin.event import SignIn, reached
from yellowbooks.signin.finder import SignInFinder
from yellowbooks.signin.forms import TemplateFault
from yellowbooks.signin.handler import SignInHandler, write_mail
from yellowbooks.signin.letter import Letter, Letters
from yellowbooks.signin.notices import AtOnce, Notices, Policy
from yellowbooks.signin.preview import preview_page
from yellowbooks.signin.samples import TemplateFinding, lint_templates, write_trial
from yellowbooks.signin.summary import Summary, SummaryMailer, Telling, summary_kind

Handler = Callable[[Lease, SignIn], Awaitable[str | None]]

CHANNEL = "mail"


def kind(
    handler: Handler = unhandled,
    *,
    rate: Rate,
    backoff: Backoff,
    quota: Rate | None = None,
    finder: SignInFinder | None = None,
) -> Kind[SignIn]:
    """Sign-in notification. In doubt it is sent once more: for an alert a second copy is better than none.

    `quota` bounds the mails that leave, over all workers and all kinds of mail, which share the channel.
    """
    return Kind(
        "signin-notification", SignIn, handler, rate, backoff, doubt="resend_once", channel=CHANNEL, quota=quota,
        deadline=FRESH_SECONDS, finder=finder,
    )  # fmt: skip


__all__ = [
    "AMBIGUOUS_TOTAL", "CHANNEL", "AtOnce", "Delivery", "Handler", "Letter", "Letters", "Link", "Notices", "Policy",
    "SignIn", "SignInFinder", "SignInHandler", "Summary", "SummaryMailer", "Telling", "TemplateFault",
    "TemplateFinding", "ambiguous", "kind", "lint_templates", "no_link", "preview_page", "reached", "summary_kind",
    "write_mail", "write_trial",
]  # fmt: skip
