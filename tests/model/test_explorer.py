"""The rules hold in every order of events within small bounds, and a bug in them is found."""

import pytest

from tests.model.bugs import BUGS
from tests.model.explorer import Bounds, Bug, Explorer
from yellowbooks.jobs.record import HOLD


@pytest.mark.parametrize("flags", [0, HOLD], ids=["resend_once", "hold"])
def test_nothing_is_wrong_in_any_order(flags: int) -> None:
    found = Explorer(Bounds(jobs=1, attempts=2, expiries=1, flags=flags)).search()
    assert found.wrong is None, found.trace
    assert found.states > 1000
    assert len(found.fired) >= 18, sorted(found.fired)  # every sort of step was taken


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    found = Explorer(Bounds(jobs=1), bug).search()
    assert found.wrong is not None
    assert found.trace
