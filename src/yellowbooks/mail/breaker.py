"""When to leave a server alone: after several mails in a row found it unusable, or when it is our own mistake."""

import time
from collections.abc import Callable

FAILURES = 3  # different mails in a row
FORGOTTEN_SECONDS = 600.0  # a failure that is older says nothing of now
AGAIN_SECONDS = 15.0  # how soon one mail tries a server that was unreachable
MENDED_SECONDS = 60.0  # how soon one mail tries a server that needs our configuration mended
EARLY = 0.8  # of that wait: one who comes a little early by his own clock may try too

Tell = Callable[..., None]


def quiet(_word: str, **_fields: object) -> None:
    """A `Tell` where nobody listens."""


class Breaker:
    """Lets mails through to one server while it works, and one at a time while it does not.

    It opens when `FAILURES` different mails in a row found the server unusable, no mail having come through between
    them; a single mail whose attempts fail does not open it, and so keeps to its own waits. It opens at once where
    every mail must fail alike: a login that is refused. It tells so once (`smtp_down`, `smtp_misconfigured`), and once
    when mails come through again (`smtp_back`). `again` and `mended` are the waits in seconds.
    """

    def __init__(
        self, server: str, tell: Tell, *, again: float = AGAIN_SECONDS, mended: float = MENDED_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.why, self.cause, self.pause = "", "", again
        self._server = server
        self._tell = tell
        self._again, self._mended = again, mended
        self._clock = clock
        self._failed: dict[str, float] = {}
        self._open = False
        self._next = 0.0

    @property
    def open(self) -> bool:
        """Whether the server is left alone but for a try now and then."""
        return self._open

    def admits(self) -> bool:
        """Whether a mail may try now; where the server is left alone, only one in so many seconds."""
        if not self._open:
            return True
        if self._clock() < self._next:
            return False
        self._next = self._clock() + self.pause * EARLY
        return True

    def worked(self) -> None:
        """The server answered a mail, whatever it said of it."""
        if self._failed:
            self._failed.clear()
        if self._open:
            self._open = False
            self._tell("smtp_back", server=self._server)

    def failed(self, mail: str, why: str, cause: str) -> None:
        """A mail found the server unusable."""
        moment = self._clock()
        self._failed[mail] = moment
        self._failed = {name: when for name, when in self._failed.items() if moment - when < FORGOTTEN_SECONDS}
        if self._open or len(self._failed) >= FAILURES:
            self._leave_alone("smtp_down", why, cause, self._again)

    def misconfigured(self, why: str, cause: str) -> None:
        """The server refuses what every mail needs; a person must mend it."""
        self._leave_alone("smtp_misconfigured", why, cause, self._mended)

    def _leave_alone(self, word: str, why: str, cause: str, pause: float) -> None:
        self.why, self.cause, self.pause = why, cause, pause
        self._next = self._clock() + pause * EARLY
        if not self._open:
            self._open = True
            self._tell(word, server=self._server, error=why, cause=cause, again=pause)
