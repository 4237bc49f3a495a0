"""The dashboard in a real Chromium, over real parts: what goes on now, live."""

import asyncio
import re
import signal

import pytest
from playwright.async_api import Browser, expect

from tests.browser import browser  # noqa: F401  the fixture
from tests.dashboard.rig import Rig, looking, rig  # noqa: F401  the fixture
from tests.test_up import free_port

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_numbers_move_by_themselves(browser: Browser, rig: Rig) -> None:  # noqa: F811
    await asyncio.to_thread(rig.rest)
    async with looking(browser, rig, "/dashboard") as page:
        await expect(page.locator("#line")).to_have_text("Live")
        # Nobody listens yet, and the page says so.
        await expect(page.get_by_role("alert")).to_contain_text("Nobody listens.")
        assert await page.locator("[data-now='depth.enqueued']").inner_text() == "0"
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/api/admin/now" in request.url else None)
        job_id = await asyncio.to_thread(rig.post, "report", user="bat", seconds=1.5)
        await expect(page.locator("[data-now='depth.enqueued']")).to_have_text("1")
        await asyncio.to_thread(rig.work)
        await expect(page.locator("[data-now='depth.processing']")).to_have_text("1")
        await expect(page.locator("#workers tbody tr")).to_have_count(1)
        await expect(page.locator(f"#workers a[href='/dashboard/jobs/{job_id}']")).to_be_visible()
        await expect(page.get_by_role("alert")).not_to_contain_text("Nobody listens.")
        await expect(page.locator("[data-now='depth.processing']")).to_have_text("0")
        await expect(page.locator("#feed .completed")).to_contain_text(job_id)
        assert asked == []  # no polling: the stream told all of it


async def test_a_queue_that_is_away_says_why_and_recovers(browser: Browser, rig: Rig) -> None:  # noqa: F811
    async with looking(browser, rig, "/dashboard", quiet=False) as page:
        await expect(page.locator("#line")).to_have_text("Live")
        rig.valkey.kill()
        alert = page.get_by_role("alert")
        await expect(alert).to_contain_text("The queue (Valkey) is away.")
        await expect(alert).to_contain_text("recovers by itself")
        # A page that is opened now says it too.
        await page.goto(f"{rig.url}/dashboard/dead")
        await expect(page.get_by_role("alert")).to_contain_text("The queue (Valkey) is away.")
        await page.goto(f"{rig.url}/dashboard")
        await asyncio.to_thread(rig.valkey.start)
        await expect(page.get_by_role("alert")).not_to_contain_text("Valkey")
        await expect(page.locator("[data-now='depth.enqueued']")).to_have_text("0")


async def test_a_job_log_that_is_away_says_why_and_jobs_go_on(browser: Browser, rig: Rig) -> None:  # noqa: F811
    nobody = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    api = await asyncio.to_thread(rig.start, "api", YB_PORT=str(free_port()), YB_DATABASE_URL=nobody)
    await asyncio.to_thread(rig.work)
    context = await browser.new_context(locale="en")
    page = await context.new_page()
    await page.goto(f"{api.url}/dashboard?q=anybody")
    await expect(page.get_by_role("alert")).to_contain_text("The job log (database) is away.")
    await expect(page.locator("#answer .fault")).to_contain_text("job log")
    await expect(page.locator("[data-now='depth.dead']")).not_to_have_text("–")  # what the queue knows is shown
    job_id = await asyncio.to_thread(rig.post, "report", user="without-a-log")
    await page.goto(f"{api.url}/dashboard/jobs/{job_id}")
    await expect(page.locator("#job-head")).to_contain_text("Completed")
    await context.close()
    await asyncio.to_thread(api.stop, signal.SIGTERM)


async def test_an_api_that_is_away_says_so_and_recovers(browser: Browser, rig: Rig) -> None:  # noqa: F811
    await asyncio.to_thread(rig.rest)
    async with looking(browser, rig, "/dashboard", quiet=False) as page:
        await expect(page.locator("#line")).to_have_text("Live")
        await asyncio.to_thread(rig.api.stop, signal.SIGTERM)
        await expect(page.locator("#line")).to_have_text("Connection lost")
        await expect(page.get_by_role("alert")).to_contain_text("The API does not answer.")
        rig.api = await asyncio.to_thread(rig.start, "api")
        await expect(page.locator("#line")).to_have_text("Live")
        await expect(page.get_by_role("alert")).to_have_text(
            "Nobody listens. No worker runs, so no job is done and no mail leaves. Start one: yellowbooks worker"
        )


async def test_a_chart_is_read_by_keys_and_as_a_table(browser: Browser, rig: Rig) -> None:  # noqa: F811
    async with looking(browser, rig, "/dashboard") as page:
        chart = page.locator(".chart", has_text="Jobs in and out")
        drawing = chart.get_by_role("img")
        assert "Jobs in and out, Last hour. in: " in str(await drawing.get_attribute("aria-label"))
        await drawing.focus()
        await page.keyboard.press("Home")
        first = await chart.locator(".when").inner_text()
        await page.keyboard.press("ArrowRight")
        assert await chart.locator(".when").inner_text() != first
        await page.keyboard.press("Tab")
        await expect(chart.locator(".when")).to_have_count(0)  # it says the newest point again
        await page.keyboard.press("Enter")
        rows = chart.locator("tbody tr")
        await expect(rows).to_have_count(59)  # the minute that is not over is left out
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Last day").click()
        await expect(drawing).to_have_attribute("aria-label", re.compile("Last day"))
