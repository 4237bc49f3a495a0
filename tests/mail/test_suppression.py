"""Who gets no mail: the rules, and the list over a real Valkey."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable

import pytest
from valkey import Valkey

from tests.conftest import ValkeyServer
from tests.mail.reports import SECRET, report, sent
from yellowbooks.jobs import Queue
from yellowbooks.mail import BounceIntake, SuppressionList, by_operator, lifted
from yellowbooks.mail.suppression_list import (
    BOUNCE,
    DAY,
    GOOD,
    Change,
    Execute,
    Standing,
    delivered,
    forgotten,
    hard,
    struck,
)

BAT = "bat@example.com"
MailList = Callable[..., SuppressionList]


def after(*steps: tuple[float, Change]) -> Standing:
    """How an address stands after changes at these days."""
    standing = GOOD
    for day, change in steps:
        standing = change(standing, 1000 * DAY + day * DAY)
    return standing


def until(standing: Standing) -> float:
    """Until which day it gets no mail."""
    return round((standing.until - 1000 * DAY) / DAY, 6)


def test_no_such_recipient_is_30_days_and_anew_each_time() -> None:
    assert until(after((0, hard("gone")))) == 30
    assert until(after((0, hard("gone")), (20, hard("gone")))) == 50


def test_the_third_strike_within_7_days_is_7_days() -> None:
    strikes = [(day, struck(f"{BOUNCE}{day}", "full")) for day in (0, 3, 6)]
    assert after(*strikes[:2]).until == 0
    assert until(after(*strikes)) == 13
    assert after((0, struck("a", "full")), (4, struck("b", "full")), (8, struck("c", "full"))).until == 0


def test_the_same_report_twice_is_one_strike() -> None:
    assert len(after(*[(0, struck(f"{BOUNCE}1", "full"))] * 5).strikes) == 1


def test_strikes_do_not_shorten_a_suppression() -> None:
    strikes = [(day, struck(str(day), "full")) for day in (1, 2, 3)]
    assert until(after((0, hard("gone")), *strikes)) == 30


def test_a_delivery_clears_the_servers_strikes_and_not_those_of_bounces() -> None:
    assert after((0, struck("reply 1", "full")), (1, delivered)) == GOOD
    assert list(after((0, struck(f"{BOUNCE}1", "full")), (1, delivered)).strikes) == [f"{BOUNCE}1"]
    assert until(after((0, hard("gone")), (1, delivered))) == 30


def test_what_is_over_is_forgotten() -> None:
    assert after((0, hard("gone")), (31, forgotten)) == GOOD
    assert after((0, struck("a", "full")), (7.1, forgotten)) == GOOD
    assert after((0, hard("gone")), (29, forgotten)) != GOOD
    assert after((0, hard("gone")), (1, lifted)) == GOOD


def commands(queue: Queue) -> Execute:
    async def execute(*command: str | int | bytes) -> object:
        return await queue.link.reach(lambda: queue.link.client.execute_command(*command))

    return execute


@pytest.fixture
async def make_list(valkey: ValkeyServer) -> AsyncIterator[MailList]:
    name = f"test-{secrets.token_hex(6)}"
    queues: list[Queue] = []

    def make(**options: object) -> SuppressionList:
        queues.append(Queue(valkey.url, name="unused"))
        return SuppressionList(commands(queues[-1]), SECRET, name=name, **options)  # type: ignore[arg-type]

    yield make
    for queue in queues:
        await queue.close()


async def test_a_dead_address_is_known_to_every_worker_and_can_be_lifted_at_once(make_list: MailList) -> None:
    one, other = make_list(), make_list()
    assert await one.suppressed(BAT) is None
    await one.suppress(BAT, "550 5.1.1 unknown")
    why = await one.suppressed("Bat@Example.com")
    assert why
    assert why.startswith("550 5.1.1 unknown (suppressed until ")
    assert f"yellowbooks mail suppression lift {one.ref(BAT)}, then requeue" in why
    assert await other.suppressed(BAT) == why
    assert await other.suppressed("cat@example.com") is None
    # What `other` remembers is up to a second old, but whom it holds for suppressed it asks about.
    await one.change(one.ref(BAT), lifted)
    assert await other.suppressed(BAT) is None


async def test_p5_the_list_holds_keyed_hashes_and_no_address(make_list: MailList, valkey: ValkeyServer) -> None:
    mails = make_list()
    await mails.suppress("canary-address@canary.example", "550 5.1.1 unknown")
    client = valkey.client()
    stored = str([client.hgetall(key) for key in client.scan_iter("{yb:test-*}:standings", count=10_000)])
    client.close()
    assert mails.ref("canary-address@canary.example") in stored
    assert "canary" not in stored
    assert SuppressionList(mails._execute, b"another").ref(BAT) != mails.ref(BAT)


async def test_strikes_of_many_workers_at_once_are_all_counted(make_list: MailList) -> None:
    workers = [make_list() for _ in range(3)]
    await asyncio.gather(*(worker.strike(BAT, "552 5.2.2 full") for worker in workers))
    standing = await workers[0].show(workers[0].ref(BAT))
    assert standing.cause == "soft"
    assert await workers[1].suppressed(BAT)


async def test_a_delivery_clears_strikes_and_asks_nothing_for_anybody_else(make_list: MailList) -> None:
    asked: list[object] = []
    mails = make_list()
    execute = mails._execute

    async def counted(*command: object) -> object:
        asked.append(command)
        return await execute(*command)

    mails._execute = counted  # type: ignore[method-assign]
    await mails.strike(BAT, "552 5.2.2 full")
    await mails.delivered(BAT)
    assert await mails.show(mails.ref(BAT)) == GOOD
    await mails.suppressed("cat@example.com")
    asked.clear()
    for number in range(100):
        assert await mails.suppressed(f"user-{number}@example.com") is None
        await mails.delivered(f"user-{number}@example.com")
    assert asked == []


async def test_the_list_for_an_operator_is_newest_first_and_forgets_what_is_over(make_list: MailList) -> None:
    now = [1000 * DAY]
    mails = make_list(clock=lambda: now[0])
    await mails.suppress("old@example.com", "gone")
    now[0] += 29 * DAY
    await mails.strike("full@example.com", "full")
    now[0] += 1
    await mails.change(mails.ref(BAT), by_operator("he asked", 60))
    assert [ref for ref, _ in await mails.entries()] == [
        mails.ref(BAT), mails.ref("full@example.com"), mails.ref("old@example.com"),
    ]  # fmt: skip
    now[0] += 2 * DAY
    assert [ref for ref, _ in await mails.entries()] == [mails.ref("full@example.com")]
    assert await mails.suppressed(BAT) is None


async def test_where_valkey_is_away_mails_go_out_and_operators_are_told(own_valkey: ValkeyServer) -> None:
    queue = Queue(own_valkey.url, name="unused")
    mails = SuppressionList(commands(queue), SECRET)
    await mails.suppress(BAT, "gone")
    assert await mails.suppressed(BAT)
    own_valkey.kill()
    assert await mails.suppressed(BAT) is None
    await mails.suppress(BAT, "gone")
    await mails.delivered(BAT)
    with pytest.raises(ConnectionError, match="start Valkey"):
        await mails.entries()
    await queue.close()


async def test_an_entry_of_another_version_is_passed_over(make_list: MailList, valkey: ValkeyServer) -> None:
    mails = make_list()
    await mails.suppress(BAT, "gone")
    client: Valkey[bytes] = valkey.client()
    client.hset(mails._key, mails.ref(BAT), b"\xff not ours")
    client.close()
    assert await mails.suppressed(BAT) is None
    assert await mails.entries() == []
    await mails.suppress(BAT, "gone")
    assert await mails.suppressed(BAT)


async def test_a_report_suppresses_at_once_or_at_the_third_time_or_never(make_list: MailList) -> None:
    mails = make_list()
    intake = BounceIntake(mails, SECRET)
    [taken] = await intake.take(report(sent(BAT)))
    assert (taken.word, taken.ref) == ("suppressed", mails.ref(BAT))
    assert "5.1.1" in str(await mails.suppressed(BAT))
    words = [
        (await intake.take(report(sent("full@example.com", f"job-{n}"), status="5.2.2")))[0].word for n in (1, 1, 2, 3)
    ]
    assert words == ["struck", "struck", "struck", "suppressed"]
    for number in range(5):
        mail = sent("good@example.com", f"job-{number}")
        [taken] = await intake.take(report(mail, status="5.7.1"))
        assert taken.word == "passed_over"
    assert await mails.suppressed("good@example.com") is None


async def test_a_forged_report_suppresses_nobody(make_list: MailList) -> None:
    mails = make_list()
    [taken] = await BounceIntake(mails, SECRET).take(report(sent("victim@example.com", secret=b"guessed-secret")))
    assert (taken.word, taken.ref) == ("not_ours", "")
    assert await mails.entries() == []
