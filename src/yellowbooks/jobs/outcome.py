"""A handler's answer or exception becomes exactly one outcome. Pure: nothing is written here."""

from dataclasses import dataclass
from typing import Literal

from yellowbooks.jobs.backoff import Backoff

ERROR_LENGTH = 500  # characters of an error that are kept
LONGEST_DEFERRAL = 3_600.0  # seconds

Doubt = Literal["resend_once", "hold"]
"""What to do with a job whose effect may or may not have happened: see `Uncertain`."""


class Permanent(Exception):
    """Raised by a handler: no further attempt can succeed. The job dies at once."""


class RetryAfter(Exception):
    """Raised by a handler: not now. Costs an attempt, but waits at least `seconds`."""

    def __init__(self, seconds: float, reason: str) -> None:
        super().__init__(reason)
        self.seconds = seconds


class Uncertain(Exception):
    """Raised by a handler after its commit: the effect may have happened, and nobody can tell.

    A kind that says `resend_once` repeats it one time; one that says `hold` leaves it to a person.
    """


@dataclass(frozen=True, slots=True)
class Completed:
    """The work is done."""


@dataclass(frozen=True, slots=True)
class Retry:
    """This attempt failed; the next one starts after `delay` seconds."""

    delay: float
    error: str
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class Dead:
    """No attempt is left, or none can help; the job waits in the dead letter queue."""

    error: str


Outcome = Completed | Retry | Dead


def describe(error: BaseException) -> str:
    """The error as one line of at most 500 characters, its type first."""
    text = " ".join(str(error).split())
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    printable = "".join(c if c.isprintable() else "?" for c in line)
    return printable[:ERROR_LENGTH]


def decide(
    error: BaseException | None, attempt: int, seed: str, backoff: Backoff, doubt: Doubt, uncertain_before: int
) -> Outcome:
    """The outcome of one attempt, from what its handler raised (or None where it returned).

    `attempt` counts from 1; `uncertain_before` is how often the job was already in doubt.
    """
    if error is None:
        return Completed()
    reason = describe(error)
    if isinstance(error, Permanent):
        return Dead(reason)
    in_doubt = isinstance(error, Uncertain)
    if in_doubt and (doubt == "hold" or uncertain_before):
        return Dead(reason)
    if attempt >= backoff.attempts:
        return Dead(reason)
    delay = backoff.delay(attempt, seed)
    if isinstance(error, RetryAfter):
        delay = max(delay, min(error.seconds, LONGEST_DEFERRAL))
    return Retry(delay, reason, uncertain=in_doubt)
