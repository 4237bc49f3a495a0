"""Bugs planted into the recorder and the log, one after another: the checker must find each of them."""

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import pytest

from tests.conftest import PostgresServer, ValkeyServer
from tests.faults.log_faults import FAULTS
from tests.faults.log_rig import hurt
from yellowbooks.joblog import JobLog, LogUnavailable, Recorder
from yellowbooks.joblog import log as log_module
from yellowbooks.joblog.bounded import BoundedConnection
from yellowbooks.joblog.fold import Heard, Row, fold
from yellowbooks.joblog.table import upsert_for
from yellowbooks.jobs import Event, Queue

Plant = pytest.MonkeyPatch


def acknowledges_what_failed(patch: Plant) -> None:
    """What the database refused is acknowledged."""
    store = Recorder._store

    async def swallow(recorder: Recorder, events: list[Event], bodies: Mapping[str, bytes]) -> None:
        with contextlib.suppress(LogUnavailable):
            await store(recorder, events, bodies)

    patch.setattr(Recorder, "_store", swallow)


def acknowledges_first(patch: Plant) -> None:
    """The events go before they are written."""
    store = Recorder._store

    async def early(recorder: Recorder, events: list[Event], bodies: Mapping[str, bytes]) -> None:
        await recorder._source.recorded(events[-1].position)
        await store(recorder, events, bodies)

    patch.setattr(Recorder, "_store", early)


def acknowledges_too_much(patch: Plant) -> None:
    """All that is in the stream goes, also what came since it was read."""
    recorded = Queue.recorded

    async def more(queue: Queue, _position: str) -> int:
        return await recorded(queue, "9999999999999-0")

    patch.setattr(Queue, "recorded", more)


def _forgetful(events: Iterable[Event], known: Mapping[str, Row], heard: Heard) -> list[Row]:
    return fold(events, {job: msgspec.structs.replace(row, last_event="") for job, row in known.items()}, heard)


def counts_twice(patch: Plant) -> None:
    """What is told again is counted again."""
    patch.setattr(log_module, "fold", _forgetful)


def writes_twice(patch: Plant) -> None:
    """What is told again is written again."""
    patch.setattr(log_module, "fold", _forgetful)
    patch.setattr(log_module, "upsert_for", lambda dialect, **_: upsert_for(dialect, newer=False))


def leaves_one_out(patch: Plant) -> None:
    """The last event of a batch is not written."""
    append = JobLog.append

    def shorter(log: JobLog, events: Sequence[Event], *more: Any) -> None:
        append(log, events[:-1], *more)

    patch.setattr(JobLog, "append", shorter)


def waits_for_ever(patch: Plant) -> None:
    """No answer is waited for without end."""
    patch.setattr(BoundedConnection, "wait", BoundedConnection.__base__.wait)  # type: ignore[union-attr]


BUGS = {
    acknowledges_what_failed: ("20 it dies before COMMIT comes", "postgresql"),
    acknowledges_first: ("20 it dies before COMMIT comes", "postgresql"),
    acknowledges_too_much: ("45 two recorders write at once", "sqlite"),
    counts_twice: ("20 it dies in COMMIT: done, and nobody is told", "postgresql"),
    writes_twice: ("20 it dies in COMMIT: done, and nobody is told", "postgresql"),
    leaves_one_out: ("45 two recorders write at once", "sqlite"),
    waits_for_ever: ("19 a black hole: nothing is answered, nothing is refused", "postgresql"),
}


def find(bug: Any, size: int, seed: int, valkey: ValkeyServer, postgres: PostgresServer) -> str | None:
    """What the checker says of the bug; None where it finds nothing."""
    name, store = BUGS[bug]
    with pytest.MonkeyPatch.context() as patch:
        bug(patch)
        try:
            asyncio.run(hurt(FAULTS[name, store], store, size, seed, valkey, postgres))
        except AssertionError as error:
            return str(error).partition("\n")[0]
    return None
