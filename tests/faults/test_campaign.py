"""The campaign, short: every fault once."""

import pytest

from tests.faults.campaign import FAULTS
from tests.faults.run import run


@pytest.mark.parametrize("name", FAULTS)
async def test_nothing_is_lost(name: str) -> None:
    tally = await run(name, 60)
    assert tally.lost == 0
    assert tally.unexplained == 0
