"""Takes delivery reports in: each failure of a mail of ours changes how its address stands."""

from dataclasses import dataclass
from typing import Literal

from yellowbooks.mail.bounce import Failure, read_report
from yellowbooks.mail.suppression_list import BOUNCE, SuppressionList, hard, struck

Word = Literal["suppressed", "struck", "passed_over", "not_ours"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one failure; `ref` names the address in the list, and is empty where it is not ours."""

    word: Word
    ref: str
    why: str


class BounceIntake:
    """Reads reports and keeps the list. `secret` is the one that the mails' Message-IDs were made with."""

    def __init__(self, suppressions: SuppressionList, secret: bytes) -> None:
        self._list = suppressions
        self._secret = secret

    async def take(self, data: bytes) -> list[Taken]:
        """What became of each failure in a report. Raises `NoReport`, and `ConnectionError` where the list is away."""
        report = read_report(data)
        if not report.failures:
            return [Taken("passed_over", "", "it speaks of a delay or a success, of no failure")]
        taken = [await self._one(report.message_id, *found) for found in report.ours(self._secret)]
        return taken or [Taken("not_ours", "", "its Message-ID is not that of a mail of ours to this recipient")]

    async def _one(self, message_id: str, address: str, failure: Failure) -> Taken:
        ref = self._list.ref(address)
        if failure.weight == "none":
            return Taken("passed_over", ref, f"{failure.why}: of us or of the mail, not of the recipient")
        if failure.weight == "hard":
            await self._list.change(ref, hard(failure.why))
            return Taken("suppressed", ref, failure.why)
        _, after = await self._list.change(ref, struck(f"{BOUNCE}{message_id.strip('<>')[:24]}", failure.why))
        return Taken("suppressed" if after.until else "struck", ref, failure.why)
