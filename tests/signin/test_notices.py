"""Which sign-ins are told at once and which in a summary, on a real Valkey: the rules one by one."""

import asyncio
from typing import Any

import msgspec
import pytest
from valkey import Valkey

from tests.conftest import ValkeyServer
from yellowbooks.jobs import Queue, Rate
from yellowbooks.sealing import Keyring
from yellowbooks.signin import Notices, Policy, SignIn
from yellowbooks.signin.device import device_of, network_of, origin

SECRET = b"a secret of the tests"
HOME, WORK, CAFE = "192.0.2.7", "198.51.100.7", "203.0.113.7"
LAPTOP = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36"
PHONE = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36"
)
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
HOUR, DAY = 3600.0, 86_400.0


class Memory:
    """A memory of its own on the shared Valkey; sign-ins of one user unless another is named."""

    def __init__(self, queue: Queue, name: str) -> None:
        self.link, self.name, self.jobs = queue.beside(f"{{yb:{name}}}"), name, 0
        self.notices = self.make()

    def make(self, at_once: str = "new_device", limit: int = 10, to: int = 20, total: int = 10_000) -> Notices:
        policy = Policy(
            at_once=at_once,  # type: ignore[arg-type]
            user=Rate(limit, HOUR), recipient=Rate(to, HOUR), everybody=Rate(total, HOUR),
            window=HOUR if at_once == "every" else 7 * DAY,
        )  # fmt: skip
        self.notices = Notices(self.link.execute, SECRET, policy, name=self.name)
        return self.notices

    async def sign_in(
        self, agent: str | None = LAPTOP, address: str | None = HOME, *, user: str = "u1", email: str = "bat@example.mn",
        told: bool = True, job: str = "",
    ) -> tuple[str, str, str]:  # fmt: skip
        """How a sign-in is told, why, and the cap that decided; what was told at once has arrived, unless told not."""
        self.jobs += 1
        job = job or f"job-{self.jobs}"
        event = SignIn(user_id=user, email=email, provider="github", user_agent=agent, ip_address=address)
        verdict = await self.notices.decide(job, event, 1_764_000_000_000)
        if verdict.told == "now" and told:
            await self.notices.told(job, event)
        return verdict.told, verdict.reason, verdict.cap


@pytest.fixture
def memory(queue: Queue, queue_name: str) -> Memory:
    return Memory(queue, queue_name)


def test_a_device_is_known_by_families_and_class_and_a_network_by_its_prefix() -> None:
    newer = LAPTOP.replace("143", "151")
    assert device_of(LAPTOP) == device_of(newer) == "Chrome|Linux|computer"
    assert device_of(PHONE) == "Chrome|Android|phone"
    assert device_of(
        "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
    ).endswith("|tablet")
    assert device_of("curl/8.5.0") == device_of("curl/9.0") != device_of("wget/1.2")
    assert device_of(None) == device_of("  ") == ""
    assert network_of("192.0.2.7") == network_of("::ffff:192.0.2.200") == "192.0.2.0/24"
    assert network_of("2001:db8:1:2::3") == network_of("2001:db8:1:ffff::") == "2001:db8:1::/48"
    assert network_of("2001:db8:2::1") != network_of("2001:db8:1::1")
    assert network_of(None) == ""


def test_marks_are_keyed() -> None:
    event = SignIn(user_id="u1", email="a@b.mn", provider="github", user_agent=LAPTOP, ip_address=HOME)
    assert origin(event, b"one secret") != origin(event, b"another one")
    assert origin(event, b"one secret") == origin(event, b"one secret")


async def test_new_devices_and_networks_are_told_at_once_and_known_ones_later(memory: Memory) -> None:
    assert await memory.sign_in() == ("now", "first", "")
    assert await memory.sign_in() == ("later", "known", "")
    assert await memory.sign_in(PHONE) == ("now", "new_device", "")
    assert await memory.sign_in(LAPTOP, WORK) == ("now", "new_network", "")
    assert await memory.sign_in(WINDOWS, CAFE) == ("now", "new_both", "")
    assert await memory.sign_in(PHONE, WORK) == ("later", "known", "")  # each is known, if not together
    assert await memory.sign_in(None, None) == ("now", "unknown", "")
    assert await memory.sign_in(None, HOME) == ("later", "known", "")
    assert await memory.sign_in(user="u2") == ("now", "first", "")


async def test_every_tells_each_but_the_repeats_of_a_device(memory: Memory) -> None:
    memory.make("every")
    assert await memory.sign_in() == ("now", "first", "")
    assert await memory.sign_in() == ("later", "known", "")
    assert await memory.sign_in(PHONE) == ("now", "new_device", "")
    assert await memory.sign_in(PHONE) == ("later", "known", "")


async def test_suspicious_tells_what_is_new_in_every_way(memory: Memory) -> None:
    memory.make("suspicious")
    assert await memory.sign_in() == ("later", "first", "")
    assert await memory.sign_in() == ("later", "known", "")
    assert await memory.sign_in(PHONE) == ("later", "new_device", "")
    assert await memory.sign_in(PHONE, WORK) == ("now", "new_both", "")


async def test_a_further_attempt_is_answered_alike_and_counted_once(memory: Memory) -> None:
    memory.make(limit=1)
    for _ in range(3):
        assert await memory.sign_in(job="a", told=False) == ("now", "first", "")
    first = [await memory.sign_in(PHONE, WORK, job="b") for _ in range(3)]
    assert first == [("later", "new_both", "user")] * 3
    event = SignIn(user_id="u1", email="bat@example.mn", provider="github", user_agent=PHONE, ip_address=WORK)
    verdict = await memory.notices.decide("b", event, 0)
    closed = await memory.notices.close(verdict.window, "bat@example.mn")
    assert [(group.count, group.new) for group in closed.groups] == [(1, True)]
    assert await memory.notices.close(verdict.window, "bat@example.mn") == closed


async def test_a_device_is_known_once_a_mail_has_told_of_it(memory: Memory, valkey: ValkeyServer) -> None:
    await memory.sign_in(told=False)
    assert await memory.sign_in() == ("later", "known", "")  # its mail is under way
    forward(valkey, memory, HOUR + 1)
    assert await memory.sign_in() == ("now", "new_both", "")  # it never came
    forward(valkey, memory, 2 * HOUR)
    assert await memory.sign_in() == ("later", "known", "")


async def test_what_was_not_seen_for_half_a_year_is_new_and_who_was_away_for_long_is_told(
    memory: Memory, valkey: ValkeyServer
) -> None:
    await memory.sign_in()
    forward(valkey, memory, 89 * DAY)
    assert await memory.sign_in() == ("later", "known", "")
    forward(valkey, memory, 91 * DAY)
    assert await memory.sign_in() == ("now", "dormant", "")  # and it slides: 180 days since the first
    forward(valkey, memory, 181 * DAY)
    assert await memory.sign_in() == ("now", "new_both", "")


def forward(valkey: ValkeyServer, memory: Memory, seconds: float) -> None:
    """As if the memory were so much older: every moment in it moves back."""
    client: Valkey[bytes] = valkey.client()

    def older(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: older(one) for key, one in value.items()}
        if isinstance(value, list):
            return [older(one) for one in value]
        return value - round(seconds * 1000) if isinstance(value, int) and value > 10**12 else value

    for key in client.scan_iter(f"{{yb:{memory.name}}}:*", count=10_000):
        if key.split(b":")[2] in (b"user", b"to"):
            client.set(key, msgspec.msgpack.encode(older(msgspec.msgpack.decode(client.get(key) or b""))))
    client.close()


async def test_a_flood_of_known_sign_ins_leaves_half_for_the_new(memory: Memory, valkey: ValkeyServer) -> None:
    memory.make("every", limit=100)
    for n in range(8):
        await memory.sign_in(LAPTOP, f"192.0.{n}.1")
    forward(valkey, memory, 2 * HOUR)
    memory.make("every", limit=6)
    told = [await memory.sign_in(LAPTOP, f"192.0.{n}.1") for n in range(8)]
    assert [one[0] for one in told] == ["now"] * 3 + ["later"] * 5
    assert told[3] == ("later", "known", "user")
    told = [await memory.sign_in(WINDOWS, f"198.51.{n}.1") for n in range(4)]
    assert [one[0] for one in told] == ["now"] * 3 + ["later"]


async def test_one_address_over_many_users_and_everybody_are_capped_and_told_once(memory: Memory) -> None:
    memory.make(to=3, total=10)
    told = [await memory.sign_in(user=f"user-{n}") for n in range(6)]
    assert told == [("now", "first", "")] * 3 + [("later", "first", "recipient")] * 3
    told = [await memory.sign_in(user=f"other-{n}", email=f"other-{n}@example.mn") for n in range(8)]
    assert told == [("now", "first", "")] * 6 + [("later", "first", "everybody")] * 2  # nine, a tenth is for summaries
    event = SignIn(user_id="one-more", email="bat@example.mn", provider="github")
    verdicts = [await memory.notices.decide(f"more-{n}", event, 0) for n in range(2)]
    assert [verdict.alarm for verdict in verdicts] == ["", ""]  # told with the first, for an hour


async def test_everybodys_cap_holds_summaries_too(memory: Memory) -> None:
    memory.make(total=2)
    assert await memory.sign_in(user="a", email="a@example.mn") == ("now", "first", "")
    event = SignIn(user_id="b", email="b@example.mn", provider="github", ip_address=HOME)
    verdict = await memory.notices.decide("b", event, 0)
    assert (verdict.told, verdict.cap, verdict.alarm) == ("later", "everybody", "everybody")
    for _ in range(3):  # the last that may leave; once closed it stays so, and is counted once
        assert not (await memory.notices.close(verdict.window, "b@example.mn")).wait
    other = await memory.notices.decide("c", SignIn(user_id="c", email="c@example.mn", provider="github"), 0)
    held = await memory.notices.close(other.window, "c@example.mn")
    assert (held.wait, held.groups) == (60_000, [])


async def test_a_closed_window_takes_nothing_more(memory: Memory) -> None:
    await memory.sign_in()
    events = [
        SignIn(user_id="u1", email=f"{name}@example.mn", provider="github", user_agent=LAPTOP, ip_address=HOME)
        for name in ("bat", "BAT", "Bat", "dorj")
    ]
    one, two = [await memory.notices.decide(f"one-{n}", event, n) for n, event in enumerate(events[:2])]
    assert one.window == two.window  # letter case is no other address
    closed = await memory.notices.close(one.window, "bat@example.mn")
    three = await memory.notices.decide("three", events[2], 0)
    assert three.window != one.window
    assert sum(group.count for group in closed.groups) == 2
    await memory.notices.summed(one.window)
    assert (await memory.notices.close(one.window, "bat@example.mn")).groups == []
    assert (await memory.notices.decide("dorj", events[3], 0)).window not in (one.window, three.window)


async def test_a_summary_makes_known_what_it_lists(memory: Memory) -> None:
    memory.make("suspicious")
    await memory.sign_in()
    event = SignIn(user_id="u1", email="bat@example.mn", provider="github", user_agent=PHONE, ip_address=HOME)
    verdict = await memory.notices.decide("phone", event, 0)
    assert verdict.reason == "new_device"
    await memory.notices.close(verdict.window, "bat@example.mn")
    await memory.notices.summed(verdict.window)
    assert await memory.sign_in(PHONE) == ("later", "known", "")


async def test_a_summary_lists_ten_of_each_sort_and_counts_the_rest(memory: Memory) -> None:
    memory.make(limit=1)
    await memory.sign_in()
    for n in range(40):
        await memory.sign_in(LAPTOP, f"192.0.2.{n}")  # known: /24
        await memory.sign_in(LAPTOP, f"198.51.{n}.1")
    event = SignIn(user_id="u1", email="bat@example.mn", provider="github", user_agent=WINDOWS, ip_address=CAFE)
    soon = await memory.notices.decide("soon", event, 0)
    slow = await memory.notices.decide(
        "slow",
        SignIn(user_id="u1", email="bat@example.mn", provider="github", user_agent=LAPTOP, ip_address="192.0.2.240"),
        0,
    )
    for verdict, new in ((soon, True), (slow, False)):
        groups = (await memory.notices.close(verdict.window, "bat@example.mn")).groups
        assert sorted(group.count for group in groups) == [1] * 10 + [31]
        assert all(group.new == new for group in groups)
        assert [group.count for group in groups if group.others] == [31]


async def test_what_is_remembered_names_nobody_and_forgets(memory: Memory, valkey: ValkeyServer) -> None:
    event = SignIn(
        user_id="canary-user", email="canary@example.mn", name="canary-name", provider="github",
        user_agent="canary-agent/1.0", ip_address="203.0.113.77",
    )  # fmt: skip
    verdict = await memory.notices.decide("canary-job", event, 0)
    await memory.notices.told("canary-job", event)
    again = await memory.notices.decide("canary-job-2", event, 0)
    client = valkey.client()

    def stored() -> str:
        keys = sorted(client.scan_iter(f"{{yb:{memory.name}}}:*", count=10_000))
        return str([(key, client.get(key) if client.type(key) == b"string" else client.hgetall(key)) for key in keys])

    assert (verdict.told, again.told) == ("now", "later")
    assert "203.0.113.77" in stored()  # the window will show it
    await memory.notices.close(again.window, event.email)
    await memory.notices.summed(again.window)
    left = stored()
    assert left.count(":user:") == 1
    assert not [word for word in ("canary", "203.0.113", "example.mn") if word in left]
    assert all(client.pttl(key) > 0 for key in client.scan_iter(f"{{yb:{memory.name}}}:*", count=10_000))
    assert await memory.notices.forget("canary-user")
    assert not await memory.notices.forget("canary-user")
    assert ":user:" not in stored()
    client.close()


async def test_a_window_can_be_sealed(memory: Memory, valkey: ValkeyServer) -> None:
    event = SignIn(user_id="u1", email="a@b.mn", provider="canary", user_agent=LAPTOP, ip_address="203.0.113.77")
    old, new = "an-old-key-that-is-long-enough-for-it", "a-new-key-that-is-long-enough-for-it"
    memory.make("suspicious")
    execute, policy = memory.notices._execute, memory.notices.policy
    sealing = Notices(execute, SECRET, policy, name=memory.name, seal=Keyring([old]))
    verdict = await sealing.decide("job", event, 0)
    client = valkey.client()
    [key] = client.scan_iter(f"{{yb:{memory.name}}}:window:*", count=10_000)
    assert not [word for word in (b"canary", b"203.0.113", b"Chrome") if word in str(client.hgetall(key)).encode()]
    client.close()
    for keys, address in (([new, old], "203.0.113.77"), ([new], None)):
        reading = Notices(execute, SECRET, policy, name=memory.name, seal=Keyring(keys))
        [group] = (await reading.close(verdict.window, "a@b.mn")).groups
        assert (group.count, group.parts.ip_address) == (1, address)  # without its key it is counted all the same


async def test_many_at_once_are_decided_one_after_another(memory: Memory) -> None:
    memory.make(limit=4)
    told = await asyncio.gather(*(memory.sign_in(WINDOWS, f"198.51.{n}.1") for n in range(30)))
    assert sorted(one[0] for one in told) == ["later"] * 26 + ["now"] * 4
