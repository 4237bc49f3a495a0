"""A recorder process that is killed at a step of its own; see `main`."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import event as sql_event

from yellowbooks.joblog import JobLog, Recorder
from yellowbooks.jobs import Event, Queue

STEPS = ("before the write", "in the transaction", "between write and acknowledgement", "after the acknowledgement")


class Trap:
    """Kills this process when it comes to a step for the n-th time."""

    def __init__(self, step: str, times: int) -> None:
        self._step = step
        self._left = times

    def __call__(self, step: str) -> None:
        if step == self._step:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class TrappedLog(JobLog):
    """A log whose steps are named."""

    def __init__(self, url: str, trap: Trap) -> None:
        super().__init__(url)
        self._trap = trap
        self._appending = False
        sql_event.listen(self._engine, "commit", lambda _connection: self._appending and trap(STEPS[1]))

    def append(self, events: Sequence[Event], bodies: Mapping[str, bytes] = {}) -> None:
        self._trap(STEPS[0])
        self._appending = True
        super().append(events, bodies)
        self._appending = False
        self._trap(STEPS[2])


class TrappedQueue(Queue):
    """A queue whose acknowledgement is named."""

    trap: Trap

    async def recorded(self, position: str) -> int:
        count = await super().recorded(position)
        self.trap(STEPS[3])
        return count


async def main(options: dict[str, Any]) -> None:
    """Record until SIGTERM, or to `step` for the `times`-th time. `tag`'s queue is at `url`."""
    trap = Trap(options.get("step", ""), options.get("times", 1))
    queue = TrappedQueue(options["url"], name=options["name"])
    queue.trap = trap
    log, stop = TrappedLog(options["database"], trap), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    recorder = Recorder(
        queue, log, seat_seconds=options["seat"],
        on_trouble=lambda text: print("trouble", text, flush=True), on_recovered=lambda: print("back", flush=True),
    )  # fmt: skip
    await recorder.run(stop)
    await queue.close()
    log.close()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
