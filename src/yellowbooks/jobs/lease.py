"""A worker's hold on one job for a while."""

import asyncio
from collections.abc import Awaitable
from typing import Protocol

import msgspec


class LeaseLost(Exception):
    """Another worker has this job, or it has ended: stop, and touch nothing."""


class Holder(Protocol):
    """What a lease speaks to: the queue."""

    def commit(self, lease: "Lease") -> Awaitable[None]:
        """Pass the point of no return."""
        ...

    def note(self, lease: "Lease", text: str | None, progress: float | None) -> Awaitable[None]:
        """Write a line of the job's history."""
        ...


class Lease(msgspec.Struct, frozen=True):
    """A worker's hold on one job for a while: the handle that a handler gets.

    `created` is when the job was admitted and `started` when this attempt was (ms since 1970, the queue's clock);
    `attempt` counts from 1; `uncertain` is how often the effect of an earlier attempt was in doubt.
    `trace` is the trace context that came with the job (25 bytes: trace id, span id, flags), or empty.
    """

    job_id: str
    kind: str
    attempt: int
    created: int
    started: int
    uncertain: int
    token: str
    payload: bytes
    holder: Holder
    trace: bytes = b""

    def __repr__(self) -> str:
        return f"Lease({self.job_id!r}, {self.kind!r}, attempt={self.attempt})"

    async def commit(self) -> None:
        """Say, durably, that what cannot be undone begins now. Raises `LeaseLost` where it must not begin."""
        await self.holder.commit(self)

    async def log(self, text: str) -> None:
        """Write a line into the job's history (at most 500 characters of it). Raises `LeaseLost`."""
        await self.holder.note(self, text, None)

    async def progress(self, share: float) -> None:
        """Say how much of the work is done, 0 to 1. Raises `LeaseLost`."""
        await self.holder.note(self, None, share)


class ThreadLease:
    """The lease as a handler in a thread has it: the same words, without `await`."""

    def __init__(self, lease: Lease, loop: asyncio.AbstractEventLoop) -> None:
        self._lease = lease
        self._loop = loop
        self.job_id, self.kind, self.attempt = lease.job_id, lease.kind, lease.attempt
        self.created, self.started, self.uncertain = lease.created, lease.started, lease.uncertain
        self.trace = lease.trace

    def commit(self) -> None:
        """As `Lease.commit`."""
        asyncio.run_coroutine_threadsafe(self._lease.commit(), self._loop).result()

    def log(self, text: str) -> None:
        """As `Lease.log`."""
        asyncio.run_coroutine_threadsafe(self._lease.log(text), self._loop).result()

    def progress(self, share: float) -> None:
        """As `Lease.progress`."""
        asyncio.run_coroutine_threadsafe(self._lease.progress(share), self._loop).result()
