"""A handler's answer or exception becomes exactly one outcome. Pure: nothing is written here."""

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from yellowbooks.jobs.backoff import Backoff

ERROR_LENGTH = 500  # characters of an error that are kept
CAUSE_LENGTH = 100
TRACE_LENGTH = 1_500
EXPIRED = "expired"  # the cause of death of a job that was put off until its kind's deadline
PARKED_SECONDS = 60.0  # how soon a job that no worker here can read is offered again

Doubt = Literal["resend_once", "hold"]
"""What to do with a job whose effect may or may not have happened: see `Uncertain`."""


class Failure(Exception):
    """What a handler may raise to say more than «it failed». `cause` groups failures of one sort."""

    def __init__(self, reason: str, *, cause: str | None = None) -> None:
        super().__init__(reason)
        self.cause = cause


class Permanent(Failure):
    """No further attempt can succeed. The job dies at once."""


class Uncertain(Failure):
    """Raised after the commit: the effect may have happened, and nobody can tell.

    A kind that says `resend_once` repeats it one time; one that says `hold` leaves it to a person.
    """


class RetryAfter(Failure):
    """Not now, but in `seconds`. Costs no attempt; the kind's deadline bounds it."""

    def __init__(self, seconds: float, reason: str, *, cause: str | None = None) -> None:
        super().__init__(reason, cause=cause)
        self.seconds = seconds


class Paused(Failure):
    """The channel is unusable (our own configuration, or the other side is down): nobody need find that out again.

    The channel is held, its jobs spend no attempt, and every `seconds` one job tries whether it works again.
    """

    def __init__(self, reason: str, seconds: float = 30.0, *, cause: str | None = None) -> None:
        super().__init__(reason, cause=cause)
        self.seconds = seconds


class Unreadable(Failure):
    """A stored payload that this version cannot read, and none will: it is spoilt."""


class Unknown(Failure):
    """A stored payload of a version that this worker does not know; another one may. The job is parked."""


class TimeLimit(Failure):
    """The handler was still at it when the kind's time limit ended."""


@dataclass(frozen=True, slots=True)
class Completed:
    """The work is done. `words` is one line of what it has to say, such as the other side's answer."""

    words: str = ""


@dataclass(frozen=True, slots=True)
class Retry:
    """This attempt did not do it; the next one starts after `delay` seconds.

    `spent` says that it counts as an attempt. `hold` says that the channel is to be held, with a probe so often (s).
    `trace` is where in the code it failed.
    """

    delay: float
    error: str
    cause: str = ""
    uncertain: bool = False
    spent: bool = True
    hold: float | None = None
    trace: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Dead:
    """No attempt is left, or none can help; the job waits in the dead letter queue."""

    error: str
    cause: str = ""
    trace: str = field(default="", compare=False)


Outcome = Completed | Retry | Dead
COMPLETED = Completed()


def describe(error: BaseException) -> str:
    """The error as one line of at most 500 characters, its type first."""
    text = " ".join(str(error).split())
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return printable(line)[:ERROR_LENGTH]


def printable(text: str) -> str:
    """The text without characters that could steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def cause_of(error: BaseException) -> str:
    """What groups this failure with others of its sort: what the handler said, or the error without its numbers."""
    said = getattr(error, "cause", None)
    if isinstance(said, str) and said:
        return printable(said)[:CAUSE_LENGTH]
    return re.sub(r"\d+", "#", describe(error))[:CAUSE_LENGTH]


def trace_of(error: BaseException) -> str:
    """Where in the code it failed, the innermost frames last; at most 1,500 characters, of the end.

    Only places and our own source: the messages of errors may hold what a caller sent.
    """
    chain: list[str] = []
    at: BaseException | None = error
    while at is not None and len(chain) < 5:
        frames = "".join(traceback.format_tb(at.__traceback__))
        chain.append(f"{frames}{type(at).__name__}")
        at = at.__cause__ or (None if at.__suppress_context__ else at.__context__)
    return "\n".join(reversed(chain))[-TRACE_LENGTH:]


def hidden(outcome: Outcome, hide: Callable[[str], str]) -> Outcome:
    """The outcome with its error and cause as `hide` leaves them."""
    if isinstance(outcome, Completed):
        return outcome
    return replace(outcome, error=hide(outcome.error), cause=hide(outcome.cause))


@dataclass(frozen=True, slots=True)
class Rules:
    """What a kind says about failed attempts; `deadline` is how old (s) a job may get by being put off."""

    backoff: Backoff
    doubt: Doubt = "resend_once"
    deadline: float = 86_400.0


def decide(
    error: BaseException | None, attempt: int, seed: str, rules: Rules, uncertain_before: int = 0, age: float = 0.0
) -> Outcome:
    """The outcome of one attempt, from what its handler raised (or None where it returned).

    `attempt` counts from 1; `uncertain_before` is how often the job was already in doubt; `age` is the seconds since
    it was admitted.
    """
    if error is None:
        return COMPLETED
    reason, cause = describe(error), cause_of(error)
    if isinstance(error, Permanent | Unreadable):
        return Dead(reason, cause, trace_of(error))
    if isinstance(error, RetryAfter | Paused | Unknown):
        return _put_off(error, reason, cause, rules, age)
    in_doubt = isinstance(error, Uncertain)
    if in_doubt and (rules.doubt == "hold" or uncertain_before):
        return Dead(reason, cause, trace_of(error))
    if attempt >= rules.backoff.attempts:
        return Dead(reason, cause, trace_of(error))
    return Retry(rules.backoff.delay(attempt, seed), reason, cause, uncertain=in_doubt, trace=trace_of(error))


def _put_off(error: RetryAfter | Paused | Unknown, reason: str, cause: str, rules: Rules, age: float) -> Outcome:
    if isinstance(error, Paused):  # the channel waits, and nobody is too old for that
        return Retry(0.0, reason, cause, spent=False, hold=error.seconds)
    if isinstance(error, Unknown):
        return Retry(PARKED_SECONDS, reason, cause, spent=False)
    left = rules.deadline - age
    if left <= 0:
        return Dead(f"{reason} (put off until it was {age:.0f} s old)"[:ERROR_LENGTH], EXPIRED)
    return Retry(min(max(error.seconds, 0.0), left), reason, cause, spent=False)
