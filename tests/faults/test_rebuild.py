"""A lost Valkey under load, short: the final set of what the log had is the same."""

import pytest

from tests.conftest import PostgresServer
from tests.faults.rebuild import CASES, IDLE, once


@pytest.mark.parametrize(("way", "doubt", "store"), CASES[1:3])
async def test_what_the_log_had_comes_to_its_end_once_or_says_that_it_is_in_doubt(
    way: str, doubt: str, store: str, postgres: PostgresServer
) -> None:
    tally = await once(store, 120, 1, way, doubt, postgres)
    assert (tally.held if doubt == "hold" else tally.restored) >= IDLE
