"""The faults of the job log, short: each once, the steps of a kill in turn on the one database and the other."""

from typing import Any

import pytest

from tests.conftest import PostgresServer, ValkeyServer
from tests.faults.log_bugs import find, leaves_one_out, writes_twice
from tests.faults.log_faults import FAULTS
from tests.faults.log_rig import hurt
from tests.faults.recorder import STEPS

SHORT = [
    (name, store)
    for name, store in FAULTS
    if not any(name.endswith(step) and n % 2 == (store == "sqlite") for n, step in enumerate(STEPS))
]


@pytest.mark.parametrize(("name", "store"), SHORT)
async def test_the_log_has_every_event_once_and_no_job_waits_for_it(
    name: str, store: str, valkey: ValkeyServer, postgres: PostgresServer
) -> None:
    try:
        tally = await hurt(FAULTS[name, store], store, 20, 1, valkey, postgres)
    except PermissionError as why:
        pytest.skip(str(why))
    assert tally.meanwhile >= 20


@pytest.mark.parametrize("bug", [leaves_one_out, writes_twice], ids=lambda bug: bug.__name__)
def test_the_checker_finds_planted_bugs(bug: Any, valkey: ValkeyServer, postgres: PostgresServer) -> None:
    """All of them: `python -m tests.faults.database --bugs`."""
    assert find(bug, 20, 1, valkey, postgres)
