"""The log forgets ended jobs whose time is over, a bounded step at a time, between the recorder's batches."""

import asyncio
import time

from yellowbooks.joblog.erasure import Key
from yellowbooks.joblog.log import JobLog

STEP = 1000  # rows, and keys of the search that are looked at
REST_SECONDS = 3600.0  # after a walk over all


class Expiry:
    """Takes rows of jobs that ended and were admitted over `retention` seconds ago, with what they are found by; the
    counts of minutes and the operators' acts stay. 0 is for ever."""

    def __init__(self, log: JobLog, retention: float) -> None:
        self._log = log
        self._retention = retention
        self._rested = -REST_SECONDS
        self._key: Key | None = None

    async def step(self) -> int:
        """How many rows and keys went. Raises `LogUnavailable`."""
        if not self._retention or time.monotonic() - self._rested < REST_SECONDS:
            return 0
        before = round((time.time() - self._retention) * 1000)
        rows, keys, self._key = await asyncio.to_thread(self._log.expire, before, STEP, self._key)
        if self._key is None and rows < STEP:
            self._rested = time.monotonic()
        return rows + keys
