"""What becomes of a job by what the API answered: one table."""

from dataclasses import dataclass

from yellowbooks.client.link import Answer

LIMITED_SECONDS = 60.0  # after a 429 that does not say how long


@dataclass(frozen=True, slots=True)
class Verdict:
    """`word` is one of

    done      the API has the job
    refused   it will never take this one
    later     it will take this one after `wait` seconds; others may go before
    faulty    it failed at this one, and perhaps at no other
    away      it takes none now; `wait` is how long it asks for (s), 0 where it does not say
    mend      it takes none before somebody mends our configuration
    """

    word: str
    wait: float = 0.0


def judge(answer: Answer) -> Verdict:
    """The table."""
    status, wait = answer.status, answer.retry_after
    if 200 <= status < 300 or status == 409:  # it came before
        return Verdict("done")
    if status in (401, 403, 407) or 300 <= status < 400:
        return Verdict("mend")
    if status == 429:
        return Verdict("later", LIMITED_SECONDS if wait is None else wait)
    if status == 500:
        return Verdict("faulty", wait or 0.0)
    if status in (408, 421, 425) or not 400 <= status < 500:
        return Verdict("away", wait or 0.0)
    return Verdict("refused")
