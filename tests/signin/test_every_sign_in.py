"""Whatever happens, every sign-in stands in exactly one mail: random sign-ins on the real code, with a simulated clock.

`python -m tests.signin.test_every_sign_in 1000` tries so many.
"""

import asyncio
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.parts import Told
from yellowbooks import signin
from yellowbooks.jobs import Backoff, Kind, Lease, LeaseLost, Rate, State
from yellowbooks.jobs.simulated import Simulation
from yellowbooks.mail import DeliveryUncertain, Message, mailbox
from yellowbooks.signin import Letters, Notices, Policy, SignIn

LETTERS = Letters(reasoned=True)
SENDER = mailbox("Yellow Books <no-reply@yellowbooks.example>")
HOUR, DAY = 3600.0, 86_400.0
LIMIT, RECIPIENT, TOTAL = 4, 6, 12
AGENTS = {
    "Chrome, Linux": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
    "Firefox, Windows": "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0",
    "Тодорхойгүй": None,
}  # fmt: skip
PLACES = ("192.0.2.7", "198.51.100.9", "2001:db8:7::1")
# Two users share an address.
USERS = {"u1": "bat@example.mn", "u2": "bat@example.mn", "u3": "dorj@example.mn", "u4": "oyun@example.mn"}
FAULTS = ("away before", "away after", "lost before", "lost after")


class Mails:
    """A mailer that keeps mails, and may fail in every way that counts."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.taken: dict[str, Message] = {}
        self.at: dict[str, float] = {}

    async def send(self, message: Message, commit: Any) -> str:
        fault = self.world.fault("send")
        if fault == "away before":
            raise OSError("no server")
        if fault == "lost before":
            raise LeaseLost("the worker died")
        await commit()
        first = self.taken.setdefault(message.message_id, message)
        self.at.setdefault(message.message_id, self.world.simulation.now)
        assert first.data == message.data, "a second copy is another mail"
        if fault == "away after":
            raise DeliveryUncertain("no reply", cause="lost")
        if fault == "lost after":
            raise LeaseLost("the worker died")
        return "250 ok"

    async def aclose(self) -> None:
        return None


@dataclass
class World:
    """The two kinds on a simulated queue, and what must hold of it."""

    at_once: Any
    faults: dict[int, str]
    calls: int = 0
    lost: int = 0
    expected: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    verdicts: dict[str, tuple[float, str, str, Any]] = field(default_factory=dict)
    told: Told = field(default_factory=Told)

    def __post_init__(self) -> None:
        self.mails = Mails(self)
        self.policy = Policy(
            at_once=self.at_once, user=Rate(LIMIT, HOUR), recipient=Rate(RECIPIENT, HOUR), everybody=Rate(TOTAL, HOUR),
            window=HOUR if self.at_once == "every" else 7 * DAY,
        )  # fmt: skip
        options: dict[str, Any] = {"backoff": Backoff(), "wait": self.policy.slow, "channel": signin.CHANNEL}
        self.kind = signin.kind(self.run_sign_in, rate=Rate(1000, HOUR), backoff=Backoff())
        self.summary = signin.summary_kind(self.run_summary, **options)
        self.simulation = Simulation(self.kind, self.summary)
        self.notices = Notices(self.execute, b"secret", self.policy)
        telling = signin.Telling(self.notices, self.admit, signin.summary_kind(**options), self.told)
        self.handler = signin.SignInHandler(LETTERS, self.mails, SENDER, b"secret", tell=self.told, telling=telling)
        self.summaries = signin.SummaryMailer(LETTERS, self.notices, self.handler.delivery, self.handler.link)

    def fault(self, what: str) -> str:
        """What goes wrong with this call, if anything."""
        self.calls += 1
        found = self.faults.pop(self.calls, "")
        self.lost += "lost" in found
        if self.lost > 2:  # three crashes are poison, and an operator's
            return ""
        if found:
            event(f"{what}: {found}")
        return found

    async def faulty(self, what: str, call: Any) -> Any:
        fault = self.fault(what)
        if fault == "away before":
            raise ConnectionError("Valkey is away")
        if fault == "lost before":
            raise LeaseLost("the worker died")
        value = await call()
        if fault == "away after":
            raise ConnectionError("Valkey is away")
        if fault == "lost after":
            raise LeaseLost("the worker died")
        return value

    async def execute(self, *command: Any) -> Any:
        return await self.faulty(str(command[4]), lambda: self.simulation.server.execute_command(*command))

    async def admit(self, kind: Kind[Any], payload: Any, **options: Any) -> Any:
        return await self.faulty("admit", lambda: self.simulation.queue.admit(kind, payload, **options))

    async def run_sign_in(self, lease: Lease, sign_in: SignIn) -> None:
        try:
            await self.handler(lease, sign_in)
        finally:
            verdict = await Notices(self.simulation.server.execute_command, b"secret", self.policy).decide(
                lease.job_id, sign_in, lease.created
            )
            before = self.verdicts.setdefault(
                lease.job_id, (self.simulation.now, sign_in.user_id, sign_in.email, verdict)
            )
            assert before[3] == verdict, "a further attempt was decided otherwise"

    async def run_summary(self, lease: Lease, summary: Any) -> None:
        await self.summaries(lease, summary)

    async def sign_in(self, user: str, browser: str, place: str, version: int) -> None:
        agent = AGENTS[browser]
        sign_in = SignIn(
            user_id=user, email=USERS[user], provider="github", ip_address=place,
            user_agent=agent and agent.format(version),
        )  # fmt: skip
        await self.simulation.queue.admit(self.kind, sign_in)
        self.expected[USERS[user], browser, place] += 1

    async def finish(self) -> None:
        """Until nothing waits any more; then everything must hold."""
        for _ in range(4):
            await self.simulation.advance(8 * DAY)
        records = self.simulation._records()
        assert {record.state for record in records} <= {State.COMPLETED, State.DEAD}
        # Only what was in doubt twice may be dead: its mail was taken, as is looked at next.
        assert all(record.uncertain for record in records if record.state is State.DEAD)
        self.check_mails()
        self.check_budgets()

    def check_mails(self) -> None:
        seen: Counter[tuple[str, str, str]] = Counter()
        totals: Counter[str] = Counter()
        hidden = False
        for message in self.mails.taken.values():
            rows, total = read(message)
            hidden = hidden or total > sum(rows.values())
            totals[message.recipient] += total
            for (browser, place), count in rows.items():
                seen[message.recipient, browser, place] += count
        wanted: Counter[str] = Counter()
        for (email, _, _), count in self.expected.items():
            wanted[email] += count
        assert totals == wanted
        assert hidden or seen == self.expected

    def check_budgets(self) -> None:
        moments = [
            (at, user, email, verdict.reason == "known")
            for at, user, email, verdict in self.verdicts.values()
            if verdict.told == "now"
        ]
        for at, user, email, verdict in self.verdicts.values():
            lately = [one for one in moments if at - HOUR < one[0] <= at]
            assert sum(one[1] == user for one in lately) <= LIMIT
            assert sum(one[2] == email for one in lately) <= RECIPIENT
            assert len(lately) <= TOTAL
            if verdict.cap == "user" and verdict.reason != "known":
                assert sum(one[1] == user and not one[3] for one in lately) >= LIMIT - LIMIT // 2
            if verdict.cap == "recipient" and verdict.reason != "known":
                assert sum(one[2] == email and not one[3] for one in lately) >= RECIPIENT - RECIPIENT // 2
            if verdict.told == "later" and not verdict.cap:
                assert verdict.reason == "known" or self.at_once == "suspicious"
        # What a victim gets in an hour: what is told at once, and a summary a pace.
        for key, message in self.mails.taken.items():  # no summary leaves before its window ends
            written = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(message.data)["Date"].datetime
            assert self.mails.at[key] + 1 >= written.timestamp()
        for email in set(USERS.values()):
            times = [self.mails.at[key] for key, message in self.mails.taken.items() if message.recipient == email]
            for at in times:
                assert sum(at - HOUR < other <= at for other in times) <= RECIPIENT + 2


def read(message: Message) -> tuple[Counter[tuple[str, str]], int]:
    """The sign-ins that a mail tells of, as its reader counts them."""
    mail = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(message.data)
    text = str(mail.get_body(("plain",)).get_content()).replace("\r\n", "\n")  # type: ignore[union-attr]
    if total := re.search(r"^Нийт: (\d+) удаа$", text, re.MULTILINE):
        rows = re.findall(r"^💻 (?:Шинэ: )?(.*) · github\n   (.*)\n   (\d+) удаа, сүүлд", text, re.MULTILINE)
        counted: Counter[tuple[str, str]] = Counter()
        for browser, place, count in rows:
            counted[browser, place] += int(count)
        return counted, int(total[1])
    browser, place = re.search(r"Browser: (.*)$", text, re.M), re.search(r"IP Address: (.*)$", text, re.M)
    assert browser
    assert place
    return Counter({(browser[1], place[1]): 1}), 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(sorted(USERS)), st.sampled_from(sorted(AGENTS)), st.sampled_from(PLACES), st.integers(120, 150)),
        st.tuples(st.sampled_from(sorted(USERS)), st.just("Chrome, Linux"), st.just(PLACES[0]), st.just(143)),
        st.sampled_from([1.0, 60.0, 1000.0, 3600.0, 3601.0, DAY, 8 * DAY, 100 * DAY, 190 * DAY]),
    ),
    min_size=1,
    max_size=40,
)  # fmt: skip
PLANS = st.dictionaries(st.integers(1, 60), st.sampled_from(FAULTS), max_size=4)


def play(at_once: str, steps: list[Any], faults: dict[int, str]) -> None:
    """One run of the property."""

    async def run() -> None:
        world = World(at_once, dict(faults))
        for step in steps:
            if isinstance(step, float):
                await world.simulation.advance(step)
            else:
                await world.sign_in(*step)
        await world.finish()

    asyncio.run(run())


def explore(examples: int) -> Any:
    """The property, over so many examples."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(["every", "new_device", "suspicious"]), STEPS, PLANS)
    def every_sign_in_stands_in_exactly_one_mail(at_once: str, steps: list[Any], faults: dict[int, str]) -> None:
        play(at_once, steps, faults)

    return every_sign_in_stands_in_exactly_one_mail


def test_every_sign_in_stands_in_exactly_one_mail() -> None:
    explore(30)()


def test_a_flood_is_a_few_mails_and_one_summary() -> None:
    for at_once in ("every", "new_device", "suspicious"):
        flood: list[Any] = [("u1", "Chrome, Linux", "192.0.2.7", 143)] * 60
        play(at_once, [*flood[:1], 2 * HOUR, *flood, ("u1", "Firefox, Windows", "198.51.100.9", 140)], {})


if __name__ == "__main__":
    explore(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)()
    print("every sign-in stood in exactly one mail")  # noqa: T201
