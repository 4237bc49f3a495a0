"""What every worker does beside its jobs: schedules fire, and what died of a cause that has passed runs again."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from msgspec.structs import asdict, astuple

from yellowbooks.jobs.dead_letters import recover
from yellowbooks.jobs.fitness import Unfit
from yellowbooks.jobs.kind import Kind
from yellowbooks.jobs.link import QueueUnavailable
from yellowbooks.jobs.partitions import parts_of
from yellowbooks.jobs.queue import Queue
from yellowbooks.jobs.schedule import Schedule, tick
from yellowbooks.jobs.verbs import Shed

TICK_SECONDS = 10.0
LOOK_SECONDS = 60.0  # how often a worker looks whether the server would lose jobs
AT_ONCE = 1000  # jobs that one call sheds at most
RECOVERY_SECONDS = 30.0  # how often one worker looks for what may recover


class Chores:
    """Runs the chores. Any number of workers may do the same ones."""

    def __init__(self, queue: Queue, schedules: Sequence[Schedule], tell: Callable[..., None]) -> None:
        self._queue = queue
        self._schedules = schedules
        self._tell = tell
        self._worked: dict[str, Kind[Any]] = {}
        self._recovered = 0.0
        self._buried: dict[str, dict[str, int]] = {}
        self._looked = 0.0
        self._went = Shed()
        self._shed_told = -LOOK_SECONDS

    def worked(self, kind: Kind[Any]) -> None:
        """A job of this kind was completed: its channel is usable."""
        if kind.recovers and kind.name not in self._worked:
            self._worked[kind.name] = kind

    async def run(self, stop: asyncio.Event) -> None:
        """Do them until `stop`, or until cancelled. A queue that is away is the worker's own trouble, told by it.

        A cancellation alone may be lost: where it meets the end of what is awaited, `asyncio.wait_for` of Python 3.11,
        which the client uses, gives the result instead.
        """
        while not stop.is_set():
            try:
                await tick(self._queue, self._schedules)
                await self._recover()
                await self._look()
                await self._shed()
            except QueueUnavailable:
                pass
            except Exception as error:  # a schedule's payload is the user's own code
                self._tell("failed", error=f"a schedule: {error!r}")
            if not stop.is_set():
                await asyncio.sleep(TICK_SECONDS)

    async def _look(self) -> None:
        moment = asyncio.get_running_loop().time()
        if moment - self._looked < LOOK_SECONDS:
            return
        self._looked = moment
        try:
            await self._queue.ping()
        except Unfit as error:
            self._tell("unfit", error=str(error))

    async def _shed(self) -> None:
        for part in parts_of(self._queue):
            while True:
                shed = await part.shed()
                self._went = Shed(*(sum(pair) for pair in zip(astuple(self._went), astuple(shed), strict=True)))
                if max(shed.jobs, shed.payloads) < AT_ONCE:
                    break
        moment = asyncio.get_running_loop().time()
        if self._went != Shed() and moment - self._shed_told >= LOOK_SECONDS:
            self._tell("log_shed", **asdict(self._went))
            self._went, self._shed_told = Shed(), moment

    async def _recover(self) -> None:
        moment = asyncio.get_running_loop().time()
        if not self._worked or moment - self._recovered < RECOVERY_SECONDS:
            return
        self._recovered = moment
        kinds, self._worked = self._worked, {}
        for kind in kinds.values():
            looked = self._buried.setdefault(kind.name, {})
            if kind.recovers and (count := await recover(self._queue, kind.name, kind.recovers, looked)):
                self._tell("recovered", kind=kind.name, count=count)
