"""Pictures of the dashboard for docs/images, of a system at work: `python -m tests.dashboard.shots`."""

import asyncio
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.async_api import Page, expect

from tests.browser import chromium
from tests.dashboard.rig import Rig, ask, looking
from yellowbooks.joblog import JobLog
from yellowbooks.jobs import Event

IMAGES = Path(__file__).parents[2] / "docs/images"
MOST_BYTES = 150_000
KIND = "signin-notification"
STATES = {
    "admitted": "enqueued", "claimed": "processing", "completed": "completed", "died": "dead", "retried": "retrying",
}  # fmt: skip


def past(hours: int) -> Iterator[list[Event]]:
    """What an hour of a small town's sign-ins looks like, a list a minute; a mail server was slow for some minutes."""
    chance = random.Random(7)
    now = int(time.time() * 1000)
    for minute in range(hours * 60, 0, -1):
        begun = now - minute * 60_000
        slow = 18 < minute < 24
        events: list[tuple[int, str, str, str | None]] = []
        for number in range(int(260 + 120 * math.sin(minute / 11) + chance.random() * 40)):
            job, at = f"past-{minute}-{number}", begun + chance.randrange(45_000)
            wait, run = int(chance.expovariate(1 / 4)), int(chance.expovariate(1 / 45)) + (900 if slow else 5)
            events += [(at, job, "admitted", None), (at + wait, job, "claimed", None)]
            if slow and chance.random() < 0.1:
                events.append((at + wait + run, job, "retried", "421 4.3.2 try again later"))
                at += 2000
            late = slow and chance.random() < 0.02
            events.append((at + wait + run, job, "died" if late else "completed", "421 4.3.2 no" if late else None))
        yield [
            Event(job=job, name=name, at=at, kind=KIND, state=STATES[name], attempt=name != "admitted", max_attempts=5,
                  error=error, position=f"{at}-{place}")
            for place, (at, job, name, error) in enumerate(sorted(events))
        ]  # fmt: skip


def fill(rig: Rig) -> None:
    """Jobs of the past, and some that are under way, done and dead."""
    log = JobLog(f"sqlite:///{rig.folder}/data/joblog.sqlite3")
    log.migrate()
    for events in past(3):
        log.append(events)
    log.close()
    rig.work()
    for template, count in (("renewal-reminder", 14), ("welcome-mn", 5)):
        for number in range(count):
            rig.post("report", jobId=f"{template}-{number:03}", user=f"u-{number}", template=template)
    for number in range(9):
        rig.post(KIND, jobId=f"signin-{number:03}", email=f"nobody{number}@example.com", userId=f"u-{number}")
    for number in range(60):
        rig.post(KIND, jobId=f"signin-1{number:02}", email=f"bat{number}@example.com", userId=f"bat-{number}")
    for number in range(3):
        rig.post("report", jobId=f"slow-{number}", user=f"s-{number}", seconds=90)
    rig.api.follow("signin-159", "completed")


async def traffic(rig: Rig) -> None:
    """Sign-ins, some a second, as long as it lasts."""
    number = 0
    while True:
        number += 1
        await asyncio.to_thread(rig.post, KIND, email=f"tuya{number}@example.com", userId=f"tuya-{number}")
        await asyncio.sleep(0.2)


async def shoot(page: Page, name: str) -> None:
    """One picture."""
    await expect(page.locator("#line")).to_have_attribute("data-line", "live")
    await page.wait_for_timeout(2500)  # so that rates have been told for their two seconds
    path = IMAGES / f"dashboard-{name}.png"
    await page.screenshot(path=path)
    size = path.stat().st_size
    print(f"{path.name}  {size / 1000:.0f} kB")
    assert size < MOST_BYTES


async def main() -> None:
    """Take all of them."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    rig = Rig(Path(tempfile.mkdtemp(prefix="yb")))
    try:
        await asyncio.to_thread(fill, rig)

        async def dead() -> int:
            return int((await ask(rig, "GET", "/api/admin/dlq?limit=1"))[1]["count"])

        while await dead() < 28:
            await asyncio.sleep(0.2)
        await ask(rig, "GET", "/api/admin/search?q=bat-7")  # the first one loads the database's driver
        async with chromium() as browser:
            busy = asyncio.create_task(traffic(rig))
            async with looking(browser, rig, "/dashboard?q=bat-7", quiet=False) as page:
                await expect(page.locator(".verdict")).to_be_visible()
                await shoot(page, "now")
            async with looking(browser, rig, "/dashboard", dark=True, language="mn", quiet=False) as page:
                await shoot(page, "now-dark-mn")
            async with looking(browser, rig, "/dashboard/dead", quiet=False) as page:
                await page.locator(".toggle").first.click()
                await expect(page.locator("[data-job]").first).to_be_visible()
                await page.keyboard.press("j")
                await page.keyboard.press("j")
                await page.keyboard.press("r")
                await shoot(page, "dead")
            async with looking(browser, rig, "/dashboard/jobs/renewal-reminder-001", dark=True, quiet=False) as page:
                await expect(page.locator("#timeline li").first).to_be_visible()
                await shoot(page, "job-dark")
            async with looking(browser, rig, "/dashboard/dead", width=320, language="mn", quiet=False) as page:
                await expect(page.locator(".group").first).to_be_visible()
                await shoot(page, "dead-320")
            async with looking(browser, rig, "/dashboard?q=bat-7", width=320, dark=True, quiet=False) as page:
                await expect(page.locator(".verdict")).to_be_visible()
                await shoot(page, "now-320-dark")
            busy.cancel()
    finally:
        await asyncio.to_thread(rig.stop)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
