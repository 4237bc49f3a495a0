"""Waiting for so long, in time that this process had for it."""

import asyncio
from types import TracebackType

STEPS = 10


class Patience:
    """As `asyncio.timeout(seconds)`, but its time goes by in ten steps, each of which takes a turn of the event loop.

    A loop that was busy for long reads what came meanwhile before it says that nothing came.
    """

    def __init__(self, seconds: float) -> None:
        self._step = seconds / STEPS
        self._left = STEPS

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task else 0
        self._timer = self._loop.call_later(self._step, self._pass)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._left == 0 and self._task:
            ours = self._task.uncancel() <= self._before  # nobody else cancelled it meanwhile
            if ours and kind is asyncio.CancelledError:
                raise TimeoutError from error

    def _pass(self) -> None:
        self._left -= 1
        if self._left:
            self._timer = self._loop.call_later(self._step, self._pass)
        elif self._task:
            self._task.cancel()
