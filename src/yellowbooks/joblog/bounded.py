"""A connection to PostgreSQL that waits for no answer for ever.

The server ends a statement that takes too long; a server that does not answer at all, or a network that swallows what
is sent and goes on to acknowledge it, is noticed only here.
"""

import math
import time
from collections.abc import Generator
from typing import Any, TypeVar

from psycopg import Connection, OperationalError

R = TypeVar("R")
LOOK_SECONDS = 0.1
SHARE = 0.8  # of the patience, for the server


class BoundedConnection(Connection[Any]):
    """Raises `OperationalError`, and is closed, where an answer takes longer than `patience` seconds."""

    patience: float = math.inf

    def wait(self, gen: Generator[Any, Any, R], interval: float = LOOK_SECONDS, timeout: float | None = None) -> R:
        """As the driver's, which looks every `interval` seconds whether something came."""
        try:
            return super().wait(_until(gen, time.monotonic() + self.patience), interval, timeout)
        except _Silent:
            self.pgconn.finish()
            raise OperationalError(f"no answer within {self.patience:g} s") from None


class _Silent(Exception):
    """It took too long."""


def _until(gen: Generator[Any, Any, R], end: float) -> Generator[Any, Any, R]:
    """The same steps, until a moment of the monotonic clock."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if time.monotonic() > end:
                raise _Silent
            wanted = gen.send(ready)
    except StopIteration as done:
        found: R = done.value
        return found


def connect(patience: float, *args: Any, **named: Any) -> BoundedConnection:
    """As the driver's `connect`; the server is told to give up a little earlier. Raises the driver's errors."""
    connection = BoundedConnection.connect(*args, **named, autocommit=True)
    connection.patience = patience
    connection.execute(f"SET statement_timeout = {round(SHARE * patience * 1000)}")
    connection.autocommit = False
    return connection
