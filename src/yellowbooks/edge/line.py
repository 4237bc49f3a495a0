"""So many at work at once; the others wait in the order in which they came."""

import asyncio
from collections import OrderedDict


class Line:
    """`room` places. Who waits is a task and the bytes of a request; who works costs much more, and the loop's time."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.working = 0
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def enter(self, seconds: float) -> bool:
        """Take a place; False where none was free within `seconds`."""
        if self.working < self.room:
            self.working += 1
            return True
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = None
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            return self._had(turn)
        except asyncio.CancelledError:
            if self._had(turn):
                self.leave()
            raise
        return True

    def leave(self) -> None:
        """Give the place to the next one."""
        while self._waiting:
            turn, _ = self._waiting.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self.working -= 1

    def _had(self, turn: "asyncio.Future[None]") -> bool:
        """Whether its turn came in the moment in which it was no longer waited for."""
        self._waiting.pop(turn, None)
        return not turn.cancelled()
