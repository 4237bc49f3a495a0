"""Many dead jobs, and what they cost the pages that show them: `python -m tests.dashboard.many --jobs 100000`.

Elements and the longest task of the browser's main thread are what is looked for: neither may grow with the jobs. Then
what counting the causes and listing one cost the queue's server.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect
from valkey import Valkey

from tests.browser import chromium
from tests.dashboard.report import KIND, Report
from tests.dashboard.rig import Rig, ask, looking
from yellowbooks.jobs import Queue, Wanted, causes, page_of

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


async def counted(rig: Rig, jobs: int) -> list[str]:
    """What counting and listing cost the queue's server; after the last of it the groups are as they were."""
    client, queue, lines = Valkey.from_url(rig.valkey.url), Queue(rig.valkey.url), []

    async def line(name: str, work: Callable[[], Awaitable[Any]]) -> None:
        before, began = client.info("cpu"), time.perf_counter()
        await work()
        seconds, after = time.perf_counter() - began, client.info("cpu")
        used = sum(after[which] - before[which] for which in ("used_cpu_user", "used_cpu_sys"))
        lines.append(f"{name}: {1000 * used:.0f} ms of the server's time, {seconds:.2f} s")

    await line("causes, the first time", lambda: causes(queue))
    await line("causes", lambda: causes(queue))
    [one, *_] = await causes(queue)
    group = Wanted(kind=one.fingerprint.kind, cause_is=one.fingerprint.cause)
    await line("a page of one group", lambda: page_of(queue, 20, None, group))
    await line("words of an error", lambda: page_of(queue, 20, None, Wanted(error="hopeless")))
    kept = [key for name in ("died*", "causes", "grouped") for key in client.scan_iter(f"{queue.tag}:{name}")]
    size = sum(client.memory_usage(key, samples=0) or 0 for key in kept)
    client.delete(*kept)
    await line("causes, after a version without groups", lambda: causes(queue))
    await queue.close()
    client.close()
    return [*lines, f"groups: {size / jobs:.0f} bytes a dead job"]


async def main() -> None:
    """Fill, look, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    jobs = parser.parse_args().jobs
    rig = Rig(Path(tempfile.mkdtemp(prefix="yb")))
    try:
        await fill(rig, jobs)
        costs, lines = await counted(rig, jobs), await look(rig)
    finally:
        await asyncio.to_thread(rig.stop)
    print(f"| {jobs} dead jobs: page | " + " | ".join(list(lines[0])[1:]) + " |\n" + "|---" * len(lines[0]) + "|")
    for line in lines:
        print("| " + " | ".join(map(str, line.values())) + " |")
    print("\n" + "\n".join(costs))


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
