"""The short form of `python -m tests.fuzz --parsers`: some inputs for each target, and one planted bug of each."""

import pytest

from tests.fuzz.parsers import Target, fuzz
from tests.fuzz.targets import TARGETS

SOME, MANY = 40, 2000


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_whatever_comes_is_read_or_refused(target: Target) -> None:
    tried = fuzz(target, SOME * target.cost, 1)
    assert not tried.fault, tried.example
    assert tried.inputs >= SOME // 2


@pytest.mark.parametrize("target", [one for one in TARGETS if one.bugs], ids=lambda target: target.name)
def test_a_planted_bug_is_found(target: Target) -> None:
    with target.bugs[0].planted():
        assert fuzz(target, MANY * target.cost, 1).fault
