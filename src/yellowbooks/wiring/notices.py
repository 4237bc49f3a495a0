"""Which sign-ins are told at once and which in a summary: YB_NOTIFY."""

from typing import Any

from yellowbooks import signin
from yellowbooks.jobs import Backoff, Kind, Queue, Rate
from yellowbooks.mail import Mailer
from yellowbooks.observe import Tell
from yellowbooks.settings import Settings
from yellowbooks.wiring.mail import mail_secret, sign_in_handler
from yellowbooks.wiring.notme import not_me_kinds
from yellowbooks.wiring.queue import SIGN_IN, kinds, make_seal, sign_in_finder

NOTICES = "notices"  # the keys beside the queue where devices are remembered and summaries are gathered
HOUR, WEEK = 3600.0, 604_800.0


def policy(settings: Settings) -> signin.Policy | None:
    """What is told at once; None where YB_NOTIFY is not set."""
    names: dict[str, signin.AtOnce] = {"every": "every", "new_device": "new_device", "suspicious": "suspicious"}
    if not settings.notify:
        return None
    return signin.Policy(
        at_once=names[settings.notify],
        user=Rate(*settings.rate_limit),
        recipient=Rate(*settings.recipient_limit),
        everybody=Rate(*settings.total_limit),
        window=settings.notify_window or (HOUR if settings.notify == "every" else WEEK),
    )


def device_memory(settings: Settings, queue: Queue) -> signin.Notices | None:
    """The memory of devices, over the queue's connections; None where YB_NOTIFY is not set."""
    found = policy(settings)
    if found is None:
        return None
    execute, seal = queue.beside(f"{{yb:{NOTICES}}}").execute, make_seal(settings)
    return signin.Notices(execute, mail_secret(settings), found, name=NOTICES, seal=seal)


def answers(settings: Settings) -> dict[str, dict[str, str]]:
    """What the API's 202 says besides, by kind: with YB_NOTIFY, which sign-ins are told at once."""
    return {SIGN_IN: {"notify": settings.notify}} if settings.notify else {}


def worker_kinds(settings: Settings, mailer: Mailer, queue: Queue, tell: Tell) -> list[Kind[Any]]:
    """Every kind that a worker runs: those that the API takes, and those that we make ourselves."""
    memory = device_memory(settings, queue)
    if memory is None:
        return [*kinds(settings, sign_in_handler(settings, mailer, queue, tell)), *not_me_kinds(settings)]
    quota = Rate(*settings.smtp_rate) if settings.smtp_rate else None
    options: dict[str, Any] = {
        "backoff": Backoff(*settings.retry), "wait": memory.policy.slow, "channel": signin.CHANNEL, "quota": quota,
        "finder": sign_in_finder(settings), "seal": make_seal(settings),
    }  # fmt: skip
    telling = signin.Telling(memory, queue.admit, signin.summary_kind(**options), tell)
    handler = sign_in_handler(settings, mailer, queue, tell, telling)
    summaries = signin.SummaryMailer(handler.letters, memory, handler.delivery, handler.link)
    return [*kinds(settings, handler), *not_me_kinds(settings), signin.summary_kind(summaries, **options)]
