"""The same client for a program on an event loop."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self, Unpack

from yellowbooks.client.client import LOOK_SECONDS, Client, Receipt, State
from yellowbooks.client.event import SIGN_IN, SignIn, sign_in


class AsyncClient:
    """The face of a `Client` that never blocks the loop; both may be used, and share the queue and the connection."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def signed_in(self, *, job_id: str | None = None, durable: bool = False, **who: Unpack[SignIn]) -> Receipt:
        """As `Client.signed_in`."""
        return await self.enqueue(SIGN_IN, sign_in(**who), job_id=job_id, durable=durable)

    async def enqueue(
        self, kind: str, payload: Mapping[str, Any], *, job_id: str | None = None, durable: bool = False
    ) -> Receipt:
        """As `Client.enqueue`; where that would wait, this one lets others run."""
        until = time.monotonic() + self.client.deadline
        job, kept = self.client.prepare(kind, payload, job_id, durable=durable)
        while not self.client.offer(job):
            if self.client.closed or time.monotonic() >= until:
                return self.client.lose(job)
            await asyncio.sleep(LOOK_SECONDS)
        if kept is not None:
            with contextlib.suppress(TimeoutError):
                word = await asyncio.wait_for(asyncio.wrap_future(kept), max(0.0, until - time.monotonic()))
                return Receipt(job.job_id, word)
        return Receipt(job.job_id, "queued")

    def state(self) -> State:
        """As `Client.state`."""
        return self.client.state()

    async def flush(self, seconds: float = 5.0) -> bool:
        """As `Client.flush`."""
        return await asyncio.to_thread(self.client.flush, seconds)

    async def close(self, seconds: float = 1.0) -> None:
        """As `Client.close`."""
        await asyncio.to_thread(self.client.close, seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
