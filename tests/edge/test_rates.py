"""Token buckets, whose address a request has, known keys, and the line: without a server."""

import asyncio

import pytest

from tests.parts import eventually
from yellowbooks.edge.address import counted, sender
from yellowbooks.edge.line import Line
from yellowbooks.edge.rates import Known, Rates


def test_a_bucket_gives_what_it_has_and_fills_again() -> None:
    rates = Rates(3, 60.0)
    assert [rates.take("a", 100.0) for _ in range(3)] == [0.0] * 3
    assert rates.take("a", 100.0) == pytest.approx(20.0)
    assert rates.take("a", 110.0) == pytest.approx(10.0)  # a refusal costs nothing
    assert rates.take("b", 110.0) == 0.0
    assert rates.take("a", 120.1) == 0.0
    assert rates.take("a", 120.1) > 19
    assert [rates.take("a", 1000.0) for _ in range(3)] == [0.0] * 3
    assert rates.take("a", 1000.0) > 0


def test_a_million_addresses_cost_what_the_bound_says() -> None:
    rates = Rates(1, 60.0, most=1000)
    for number in range(20_000):
        rates.take(str(number), 1.0)
        assert rates.take("often", 1.0 + 60 * number) == 0.0
    assert len(rates) == 1000
    assert rates.take("often", 1.0 + 60 * 19_999) > 0  # who asks often is not forgotten


def test_a_key_is_known_for_a_while_and_to_this_process_alone() -> None:
    known, other = Known(seconds=60), Known()
    digest = known.digest(b"Bearer one")
    assert not known.has(digest, 0.0)
    known.learn(digest, 0.0)
    assert known.has(digest, 59.0)
    assert not known.has(digest, 61.0)
    assert not known.has(known.digest(b"Bearer two"), 0.0)
    assert other.digest(b"Bearer one") != digest


@pytest.mark.parametrize(
    ("address", "by"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("2a00:1450:4001:81b::200e", "2a00:1450:4001:81b::/64"),
        ("2a00:1450:4001:81b:ffff::1", "2a00:1450:4001:81b::/64"),
        *((own, "") for own in ("127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "fd00::1", "fe80::1")),
        *((none, "") for none in ("", "unix", "8.8.8", "::ffff:10.0.0.1", "100.64.0.1", "8.8.8.8\n")),
    ],
)
def test_what_an_address_is_counted_by(address: str, by: str) -> None:
    assert counted(address) == by


@pytest.mark.parametrize(
    ("forwarded", "proxies", "who"),
    [
        ([b"8.8.8.8"], 0, "10.0.0.1"),
        ([b"8.8.8.8"], 1, "8.8.8.8"),
        ([b"1.1.1.1, 8.8.8.8"], 1, "8.8.8.8"),
        ([b"1.1.1.1", b"8.8.8.8"], 1, "8.8.8.8"),
        ([b"1.1.1.1, 8.8.8.8, 10.0.0.9"], 2, "8.8.8.8"),
        ([b"8.8.8.8:4711"], 1, "8.8.8.8"),
        ([b"[2a00::1]:4711"], 1, "2a00::1"),
        ([b"2a00::1"], 1, "2a00::1"),
        ([], 1, "10.0.0.1"),
        ([b"8.8.8.8"], 2, "10.0.0.1"),
    ],
)
def test_whose_address_a_request_has(forwarded: list[bytes], proxies: int, who: str) -> None:
    assert sender("10.0.0.1", forwarded, proxies) == who


async def test_the_line_keeps_its_order_and_loses_no_place() -> None:
    line, order = Line(2), list[int]()

    async def ask(number: int, seconds: float = 30.0) -> bool:
        if not await line.enter(seconds):
            return False
        order.append(number)
        await asyncio.sleep(0)
        line.leave()
        return True

    assert await line.enter(0)
    assert await line.enter(0)
    waiting = [asyncio.create_task(ask(number)) for number in range(20)]
    late = [asyncio.create_task(ask(100 + number, 0.05)) for number in range(5)]
    await eventually(lambda: line.waiting == 25)
    assert await asyncio.gather(*late) == [False] * 5
    for task in waiting[5:10]:
        task.cancel()
    await eventually(lambda: line.waiting == 15)
    line.leave()
    line.leave()
    assert await asyncio.gather(*waiting[:5], *waiting[10:]) == [True] * 15
    assert order == [*range(5), *range(10, 20)]
    assert (line.working, line.waiting) == (0, 0)


@pytest.mark.parametrize("turn_first", [True, False])
async def test_a_turn_that_comes_to_one_who_leaves_goes_to_the_next(turn_first: bool) -> None:
    line = Line(1)
    assert await line.enter(0)
    first, second = (asyncio.create_task(line.enter(30)) for _ in range(2))
    await eventually(lambda: line.waiting == 2)
    for act in (line.leave, first.cancel) if turn_first else (first.cancel, line.leave):
        act()
    assert await asyncio.wait_for(second, 10)
    assert (line.working, line.waiting) == (1, 0)
