"""Sends what waits, one after the other over one connection; leaves the API alone while it is away."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from yellowbooks.client.bell import Bell
from yellowbooks.client.event import Item, trimmed
from yellowbooks.client.line import Line
from yellowbooks.client.link import Answer, Away, Link
from yellowbooks.client.verdict import judge

ADOPT_SECONDS = 5.0
OLD_SECONDS = 86_400.0  # a mail that is later than this says nothing any more: the API would end it as expired
FAULTS = 3  # a job at which the API failed so often in a row lets the others go before
FAULTY_PAUSES = 4  # for so many of the longest pauses
LONGEST_WAIT = 30.0  # however long the API asks to be left alone
LIMITED_IN_A_ROW = 10
LIMITED_PAUSE = 1.0

Note = Callable[..., None]


@dataclass(slots=True)
class Counts:
    """What became of the jobs of this process."""

    sent: int = 0
    refused: int = 0
    lost: int = 0


class Courier:
    """One thread's work. `pauses` are the first and the longest pause (s) after the API was found away."""

    def __init__(
        self, line: Line, link: Link, bell: Bell, note: Note, counts: Counts, pauses: tuple[float, float]
    ) -> None:
        self.away: str | None = None
        self._line, self._link, self._bell, self._note, self._counts = line, link, bell, note, counts
        self._pauses = pauses
        self._failures = self._limited = 0
        self._again = 0.0
        self._faulty: tuple[str, int] = ("", 0)  # the job at which the API failed last, and how often in a row
        self._damaged = 0
        self._adopted: float | None = None
        self._until: float | None = None

    def stop(self, until: float) -> None:
        """Send what waits until then (this process's clock, s) while the API answers, and end."""
        self._until = until
        self._bell.ring()

    def run(self) -> None:
        """Until `stop`."""
        while not self._ended():
            now = time.monotonic()
            if self._until is None and (self._adopted is None or now - self._adopted >= ADOPT_SECONDS):
                self._adopt(now)
            item = self._line.take() if now >= self._again else None
            if item is not None:
                self._send(item)
            elif self._until is None:
                self._bell.wait(self._pause(now))
            else:  # nothing is left, or the API is away
                break
        self._link.close()

    def _ended(self) -> bool:
        return self._until is not None and (self.away is not None or time.monotonic() >= self._until)

    def _pause(self, now: float) -> float:
        if now < self._again:
            return self._again - now
        due = self._line.next_due()
        pause = ADOPT_SECONDS if due is None else min(ADOPT_SECONDS, due - now)
        return pause if self._line.spool or due is not None else 3600.0

    def _adopt(self, now: float) -> None:
        self._adopted = now
        try:
            count = self._line.adopt()
        except OSError as error:
            self._note("spool_failed", why=str(error))
            return
        if count:
            self._note("adopted", jobs=count)
        if self._line.spool and (damaged := self._line.spool.damaged) > self._damaged:
            self._note("spool_damaged", bytes=damaged - self._damaged)
            self._damaged = damaged

    def _send(self, item: Item) -> None:
        try:
            answer = self._link.post(f"/api/jobs/{item.kind}", item.body)
        except Away as error:
            self._line.give_back(item)
            self._rest("away", str(error))
            return
        verdict = judge(answer)
        if verdict.word in ("away", "mend"):
            self._line.give_back(item)
            self._rest(verdict.word, f"{answer.status} {answer.detail}", verdict.wait)
            return
        if verdict.word == "faulty":
            self._failed_at(item, answer)
            return
        self._back()
        self._limited = self._limited + 1 if verdict.word == "later" else 0
        if verdict.word == "done":
            self._line.finish(item)
            self._counts.sent += 1
        elif verdict.word == "later":
            self._put_off(item, verdict.wait, answer)
        else:
            self._refused(item, answer)

    def _refused(self, item: Item, answer: Answer) -> None:
        body = trimmed(item, answer.fields) if answer.status == 400 else None
        if body is None:
            self._give_up(item, answer)
            return
        self._note("trimmed", job_id=item.job_id, why=answer.detail)
        item.body = body
        self._send(item)  # at once: the record on disk has the old body

    def _put_off(self, item: Item, seconds: float, answer: Answer) -> None:
        if time.time() + seconds - item.put > OLD_SECONDS or not self._line.put_off(item, seconds):
            self._give_up(item, answer)
        elif self._limited >= LIMITED_IN_A_ROW:  # it may be all of us whom the limit means
            self._again = time.monotonic() + LIMITED_PAUSE

    def _failed_at(self, item: Item, answer: Answer) -> None:
        """A 500: the API fails at this job, or at all."""
        job_id, times = self._faulty
        times = times + 1 if job_id == item.job_id else 1
        self._faulty = (item.job_id, times)
        if times < FAULTS or not self._line.put_off(item, FAULTY_PAUSES * self._pauses[1]):
            self._line.give_back(item)
        self._rest("away", f"{answer.status} {answer.detail}", answer.retry_after or 0.0)

    def _give_up(self, item: Item, answer: Answer) -> None:
        self._line.finish(item)
        self._counts.refused += 1
        self._note("refused", job_id=item.job_id, kind=item.kind, status=answer.status, why=answer.detail)

    def _rest(self, word: str, why: str, wait: float = 0.0) -> None:
        """Leave the API alone for a while; longer each time."""
        first, longest = self._pauses
        self._failures += 1
        pause = min(longest, first * 2 ** min(self._failures - 1, 20)) if word == "away" else longest
        pause = max(pause * random.uniform(0.5, 1.0), min(wait, LONGEST_WAIT))  # noqa: S311  # nosec B311 # no secret
        self._again = time.monotonic() + pause
        if self.away is None:
            self._note("misconfigured" if word == "mend" else "away", why=why)
        self.away = why

    def _back(self) -> None:
        self._failures = 0
        if self.away is not None:
            self.away = None
            self._note("back")
