"""Many dead jobs, and what they cost the pages that show them: `python -m tests.dashboard.many --jobs 100000`.

Elements and the longest task of the browser's main thread are what is looked for: neither may grow with the jobs.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from tests.browser import chromium
from tests.dashboard.report import KIND, Report
from tests.dashboard.rig import Rig, ask, looking
from yellowbooks.jobs import Queue

CAUSES = 8
TASKS = """() => new Promise((done) => {
  let longest = 0
  new PerformanceObserver((list) => { for (const one of list.getEntries()) longest = Math.max(longest, one.duration) })
    .observe({type: 'longtask', buffered: true})
  setTimeout(() => done(longest), 300)
})"""


async def fill(rig: Rig, jobs: int) -> None:
    """So many dead jobs."""
    queue = Queue(rig.valkey.url)
    for begun in range(0, jobs, 5000):
        numbers = range(begun, min(jobs, begun + 5000))
        await queue.admit_many(
            KIND, [Report(user=f"u{n}", template=f"hopeless-{'abcdefgh'[n % CAUSES]}") for n in numbers]
        )
    await queue.close()
    await asyncio.to_thread(rig.work)
    deadline = time.monotonic() + 600
    while (await ask(rig, "GET", "/api/admin/dlq?limit=1"))[1]["count"] < jobs:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.5)


async def measured(page: Page, name: str, began: float) -> dict[str, Any]:
    """What the page has become."""
    seconds = time.perf_counter() - began
    return {
        "page": name, "shown after (s)": f"{seconds:.2f}",
        "elements": await page.evaluate("document.querySelectorAll('*').length"),
        "longest task (ms)": round(await page.evaluate(TASKS)),
    }  # fmt: skip


async def look(rig: Rig) -> list[dict[str, Any]]:
    """Each page that lists jobs, until its rows are there."""
    lines = []
    async with chromium() as browser, looking(browser, rig, "/dashboard", quiet=False) as page:
        page.set_default_timeout(120_000)
        expect.set_options(timeout=120_000)
        await expect(page.locator("#line")).to_have_text("Live")
        began = time.perf_counter()
        await page.goto(f"{rig.url}/dashboard")
        await expect(page.locator("#dead-badge")).to_be_visible()
        lines.append(await measured(page, "now", began))
        began = time.perf_counter()
        await page.goto(f"{rig.url}/dashboard/jobs?status=dead")
        await expect(page.locator("#jobs tbody tr").first).to_be_visible()
        lines.append(await measured(page, "jobs", began))
        began = time.perf_counter()
        await page.goto(f"{rig.url}/dashboard/dead")
        await expect(page.locator(".group").first).to_be_visible()
        lines.append(await measured(page, "dead letters", began))
        began = time.perf_counter()
        await page.locator(".toggle").first.click()
        await expect(page.locator("[data-job]").first).to_be_visible()
        lines.append(await measured(page, "one group", began))
    return lines


async def main() -> None:
    """Fill, look, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    jobs = parser.parse_args().jobs
    rig = Rig(Path(tempfile.mkdtemp(prefix="yb")))
    try:
        await fill(rig, jobs)
        lines = await look(rig)
    finally:
        await asyncio.to_thread(rig.stop)
    print(f"| {jobs} dead jobs: page | " + " | ".join(list(lines[0])[1:]) + " |\n" + "|---" * len(lines[0]) + "|")
    for line in lines:
        print("| " + " | ".join(map(str, line.values())) + " |")


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
