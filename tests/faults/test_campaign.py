"""The campaign, short: every fault once."""

import os

import pytest

from tests.faults.campaign import FAULTS, LOSING
from tests.faults.disk import Skipped, can_cut_power
from tests.faults.run import run


@pytest.mark.parametrize("name", FAULTS)
async def test_nothing_is_lost_but_where_it_must_be(name: str) -> None:
    try:
        tally = await run(name, 60)
    except Skipped:
        if "CI" in os.environ:
            raise
        pytest.skip(f"{can_cut_power()}; as root it runs")
    assert bool(tally.lost) == (name in LOSING)
    assert tally.unexplained == 0
