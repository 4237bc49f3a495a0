"""How many mails a year of sign-ins is: by policy, for people who do nothing new but what is said. `python -m bench.noise`

The real script over a simulated clock; the same dice in every run. It counts, and measures no time.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from yellowbooks.jobs import Rate
from yellowbooks.jobs.simulated.server import SimulatedServer
from yellowbooks.signin import Notices, Policy, SignIn

DAY, HOUR = 86_400.0, 3600.0
LAPTOP = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
)
PHONE = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_{0} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.{0} Mobile/15E148 Safari/604.1"


@dataclass(frozen=True)
class Person:
    """A year: sign-ins a day; the home line's networks, changed every so many days; those of the mobile operator."""

    name: str
    a_day: float
    laptop: bool
    lines: int
    line_days: int
    mobile: int
    trips: int
    new_phone: bool


PEOPLE = (
    Person("laptop and phone, office, two trips, a new phone", 3, True, 4, 45, 8, 2, True),
    Person("phone alone, behind an operator's 30 networks", 3, False, 0, 1, 30, 0, False),
    Person("laptop at home, once a week", 1 / 7, True, 3, 60, 0, 0, False),
)


def year(person: Person) -> Iterator[tuple[float, str, str]]:
    """The moment, the browser's words and the address of each sign-in."""
    dice = random.Random(1)
    for day in range(365):
        travels = person.trips and day % (365 // person.trips) in range(100, 105)
        for _ in range(int(person.a_day) + (dice.random() < person.a_day % 1)):
            version = 120 + day // 28  # a new browser every four weeks
            phone = IPHONE if person.new_phone and day > 200 else PHONE
            agent = LAPTOP if person.laptop and dice.random() < 0.5 else phone
            if travels:
                address = f"203.0.{day * person.trips // 365}.{dice.randrange(250)}"
            elif person.mobile and (agent != LAPTOP and dice.random() < 0.7):
                address = f"100.64.{dice.randrange(person.mobile)}.{dice.randrange(250)}"
            elif person.laptop and person.mobile and dice.random() < 0.5:
                address = f"198.51.100.{dice.randrange(250)}"  # the office
            else:
                address = f"192.0.{day // person.line_days % max(person.lines, 1)}.{dice.randrange(250)}"
            yield day * DAY + dice.random() * DAY * 0.7, agent.format(version), address


async def mails(person: Person, at_once: str) -> tuple[int, int, Counter[str]]:
    """Sign-ins, summaries, and what was told at once by its reason."""
    server = SimulatedServer()
    begun = server.store.now
    policy = Policy(
        at_once=at_once, user=Rate(10, HOUR), recipient=Rate(20, HOUR), everybody=Rate(10_000, HOUR),  # type: ignore[arg-type]
        window=HOUR if at_once == "every" else 7 * DAY,
    )  # fmt: skip
    notices = Notices(server.execute_command, b"secret", policy)
    told, waiting, count, summaries = Counter[str](), dict[str, int](), 0, 0
    for at, agent, address in sorted(year(person)):
        moment = begun + round(at * 1e6)
        for window, due in [pair for pair in waiting.items() if pair[1] * 1000 <= moment]:
            server.store.now = max(server.store.now, due * 1000)
            await notices.close(window, "bat@example.mn")
            await notices.summed(window)
            del waiting[window]
            summaries += 1
        server.store.now = max(server.store.now, moment)
        event = SignIn(user_id="u1", email="bat@example.mn", provider="github", user_agent=agent, ip_address=address)
        verdict = await notices.decide(f"job-{count}", event, moment // 1000)
        count += 1
        if verdict.told == "now":
            told[verdict.reason] += 1
            await notices.told(f"job-{count - 1}", event)
        else:
            waiting[verdict.window] = verdict.due
    return count, summaries + len(waiting), told


async def main() -> None:
    """A row a person and policy."""
    print(
        "| a year of | sign-ins | policy | mails at once | of these for a new network | new device | both | summaries |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for person in PEOPLE:
        for at_once in ("every", "new_device", "suspicious"):
            count, summaries, told = await mails(person, at_once)
            reasons = " | ".join(str(told[reason]) for reason in ("new_network", "new_device", "new_both"))
            print(f"| {person.name} | {count} | `{at_once}` | {told.total()} | {reasons} | {summaries} |")


if __name__ == "__main__":
    asyncio.run(main())
