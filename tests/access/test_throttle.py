"""How often somebody may be wrong."""

import pytest

from yellowbooks.access.throttle import ALL, ALL_SECONDS, OWN, OWN_SECONDS, REMEMBERED, Throttle


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_address_waits_after_so_many_failures_and_others_do_not() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for number in range(OWN):
        assert throttle.wait("192.0.2.1") == 0
        throttle.failed("192.0.2.1")
        clock.now = number + 1.0
    assert throttle.wait("192.0.2.1") == OWN_SECONDS - OWN
    assert throttle.wait("192.0.2.2") == 0
    clock.now = OWN_SECONDS
    assert throttle.wait("192.0.2.1") == 0
    throttle.failed("192.0.2.1")
    assert throttle.wait("192.0.2.1") == 1.0


def test_what_was_right_counts_for_nothing() -> None:
    throttle = Throttle(Clock())
    for _ in range(3 * OWN):
        throttle.failed("192.0.2.1")
        throttle.forgive("192.0.2.1")
    assert throttle.wait("192.0.2.1") == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("", "not-an-address", True),
    ],
)
def test_who_is_one_address(one: str, other: str, same: bool) -> None:
    throttle = Throttle(Clock())
    for _ in range(OWN):
        throttle.failed(one)
    assert (throttle.wait(other) > 0) == same


def test_many_strangers_have_one_attempt_each_and_lock_nobody_out() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for number in range(ALL):
        throttle.failed(f"198.51.{number // 250}.{number % 250}")
    assert throttle.wait("198.51.0.1") == ALL_SECONDS
    assert throttle.wait("192.0.2.1") == 0
    throttle.failed("192.0.2.1")
    assert throttle.wait("192.0.2.1") > 0
    clock.now = ALL_SECONDS + 1
    assert throttle.wait("198.51.0.1") == throttle.wait("192.0.2.1") == 0


def test_it_remembers_a_bounded_number() -> None:
    throttle = Throttle(Clock())
    for number in range(REMEMBERED + 100):
        throttle.failed(f"10.{number >> 16}.{(number >> 8) & 255}.{number & 255}")
    assert len(throttle._by) == REMEMBERED
