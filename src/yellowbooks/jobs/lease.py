"""A worker's hold on one job for a while."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


class LeaseLost(Exception):
    """Another worker has this job, or it has ended: stop, and touch nothing."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker's hold on one job for a while: the handle that a handler gets.

    `created` is when the job was admitted (ms since 1970, the queue's clock); `attempt` counts from 1;
    `uncertain` is how often the effect of an earlier attempt was in doubt.
    """

    job_id: str
    kind: str
    attempt: int
    created: int
    uncertain: int
    token: str
    payload: bytes = field(repr=False)
    _commit: Callable[["Lease"], Awaitable[None]] = field(repr=False)

    async def commit(self) -> None:
        """Say, durably, that what cannot be undone begins now. Raises `LeaseLost` where it must not begin."""
        await self._commit(self)
