"""Finding out in a real Chromium, over real parts: did this person get the mail, and what happened to this job?"""

import asyncio

import pytest
from playwright.async_api import Browser, expect

from tests.browser import browser  # noqa: F401  the fixture
from tests.dashboard.rig import Rig, ask, looking, rig  # noqa: F401  the fixture
from tests.parts import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_did_this_person_get_the_mail(browser: Browser, rig: Rig) -> None:  # noqa: F811
    await asyncio.to_thread(rig.work)
    sent = await asyncio.to_thread(rig.post, "signin-notification", email="dulmaa@example.com", userId="dulmaa-7")
    await asyncio.to_thread(rig.api.follow, sent, "completed")
    lost = await asyncio.to_thread(rig.post, "signin-notification", email="nobody.else@example.com", userId="else-7")
    await asyncio.to_thread(rig.api.follow, lost, "dead")

    async def recorded() -> bool:
        found = [(await ask(rig, "GET", f"/api/admin/search?q={user}"))[1]["jobs"] for user in ("dulmaa-7", "else-7")]
        return [jobs[0]["status"] for jobs in found if jobs] == ["completed", "dead"]

    await eventually(recorded, 20)
    async with looking(browser, rig, "/dashboard") as page:
        answer = page.locator("#answer")
        for query in ("dulmaa@example.com", "dulmaa-7", sent):
            await page.get_by_role("searchbox").fill(query)
            await page.keyboard.press("Enter")
            await expect(answer.locator(".verdict")).to_contain_text("Yes. The mail server took it")
            await expect(answer.locator(".reply")).to_contain_text("250 2.0.0 Ok: queued as 4F3A21")
            await page.get_by_role("searchbox").fill("")
        await page.get_by_role("searchbox").fill("else-7")
        await page.keyboard.press("Enter")
        await expect(answer.locator(".verdict")).to_contain_text("No. It failed")
        await page.get_by_role("searchbox").fill("who@example.com")
        await page.keyboard.press("Enter")
        await expect(answer.locator(".verdict")).to_contain_text("Nothing was sent.")
        await page.goto(f"{rig.url}/dashboard/jobs/{sent}")
        steps = page.locator("#timeline .what strong")
        await expect(steps.last).to_have_text("Completed")
        assert (await steps.all_inner_texts())[0] == "Request received"
        message = await page.locator("#facts dd.mono, #facts .mono", has_text="@").first.inner_text()
        await page.goto(f"{rig.url}/dashboard")
        await page.get_by_role("searchbox").fill(message)
        await page.keyboard.press("Enter")
        await expect(answer.locator(".verdict")).to_contain_text("Yes.")


async def test_what_a_job_says_is_no_part_of_the_page(browser: Browser, rig: Rig) -> None:  # noqa: F811
    await asyncio.to_thread(rig.work)
    job_id = await asyncio.to_thread(rig.post, "report", user="<b>evil</b>", template="evil")
    await asyncio.to_thread(rig.api.follow, job_id, "dead")
    for path in ("/dashboard/dead?error=onerror", f"/dashboard/jobs/{job_id}", "/dashboard/jobs?status=dead"):
        async with looking(browser, rig, path) as page:
            await expect(page.locator("main .error", has_text="<img src=x onerror=alert(1)>").first).to_be_visible()
            assert await page.locator("main img, main b >> text=evil").count() == 0


async def test_a_list_of_jobs_is_filtered_and_turned_over(browser: Browser, rig: Rig) -> None:  # noqa: F811
    await asyncio.to_thread(rig.rest)
    ids = [await asyncio.to_thread(rig.post, "report", jobId=f"page-{n:02}", user=f"p{n}") for n in range(60)]

    async def recorded() -> bool:
        listed = (await ask(rig, "GET", "/api/admin/jobs?status=enqueued&type=report&limit=100"))[1]["jobs"]
        return {job["jobId"] for job in listed} >= set(ids)

    await eventually(recorded, 20)
    async with looking(browser, rig, "/dashboard/jobs") as page:
        await page.get_by_label("Kind").fill("report")
        await page.get_by_label("State").select_option("enqueued")
        rows = page.locator("#jobs tbody tr")
        await expect(page.locator("#jobs-words")).to_have_text("50 jobs on this page, newest first")
        await expect(rows).to_have_count(50)  # and never more of them in the page
        assert "status=enqueued" in page.url
        newest = await rows.first.locator("a").inner_text()
        await page.keyboard.press("Tab")
        await page.get_by_role("button", name="Older").click()
        await expect(rows.filter(has_text="page-00")).to_have_count(1)
        assert await rows.count() < 50
        await page.get_by_role("button", name="Newer").click()
        await expect(rows.first.locator("a")).to_have_text(newest)
        # The filter stands in the address: what is shown can be sent to a colleague, and gone back to.
        await page.get_by_role("link", name="page-59").click()
        await expect(page.locator("#job-head")).to_contain_text("No worker that runs now knows the kind report")
        await page.go_back()
        await expect(page.get_by_label("State")).to_have_value("enqueued")
        await expect(rows).to_have_count(50)
        await page.get_by_role("button", name="Clear").click()
        await page.get_by_label("Error").fill("no such error")
        await page.keyboard.press("Enter")
        await expect(page.locator("#jobs-words")).to_have_text("No job fits this filter.")
    await asyncio.to_thread(rig.work)
    for job_id in ids:
        await asyncio.to_thread(rig.api.follow, job_id, "completed")
