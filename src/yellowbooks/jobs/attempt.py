"""One attempt: run the handler, in the loop or in a thread, within its time limit, and say how it ended."""

import asyncio
import inspect
import time
from typing import Any

from msgspec.structs import replace

from yellowbooks.jobs.hiding import Hiding, HidingHolder
from yellowbooks.jobs.kind import Kind
from yellowbooks.jobs.lease import Lease, LeaseLost, ThreadLease
from yellowbooks.jobs.outcome import ERROR_LENGTH, Completed, Outcome, TimeLimit, decide, hidden, printable


class Runner:
    """Runs attempts of one kind."""

    def __init__(self, kind: Kind[Any]) -> None:
        self.kind = kind
        self._rules = kind.rules
        called = kind.handler if inspect.isroutine(kind.handler) else type(kind.handler).__call__
        self._threaded = not inspect.iscoroutinefunction(called)

    async def __call__(self, lease: Lease) -> Outcome:
        """The outcome of an attempt. Raises `LeaseLost` and `asyncio.CancelledError`; nothing else."""
        began = time.monotonic()
        error: Exception | None = None
        said: object = None
        hide = Hiding(())
        try:
            payload = self.kind.decode(lease.payload)
            hide = Hiding(payload.private())
            lease = replace(lease, holder=HidingHolder(lease.holder, hide))
            if self.kind.time_limit is None:
                said = await self._handle(lease, payload)
            else:
                said = await self._within(self.kind.time_limit, lease, payload)
        except LeaseLost:
            raise
        except Exception as failure:  # whatever a handler raises is its answer
            error = failure
        if error is None:
            words = printable(hide(said))[:ERROR_LENGTH] if isinstance(said, str) else ""
            return Completed(words) if words else decide(None, lease.attempt, lease.job_id, self._rules)
        age = (lease.started - lease.created) / 1000 + time.monotonic() - began
        return hidden(decide(error, lease.attempt, lease.job_id, self._rules, lease.uncertain, age), hide)

    async def _handle(self, lease: Lease, payload: Any) -> object:
        if self._threaded:
            loop = asyncio.get_running_loop()
            return await asyncio.to_thread(self.kind.handler, ThreadLease(lease, loop), payload)
        said: object = await self.kind.handler(lease, payload)
        return said

    async def _within(self, seconds: float, lease: Lease, payload: Any) -> object:
        try:
            async with asyncio.timeout(seconds) as limit:
                return await self._handle(lease, payload)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise TimeLimit(f"the handler was still at it after {seconds:g} s; raise the kind's time_limit") from error
