"""An operator at work in a real Chromium, over real parts: find, look, requeue, edit, discard, take back, pause."""

import asyncio
import json
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser import browser  # noqa: F401  the fixture
from tests.dashboard.rig import Rig, ask, looking, rig  # noqa: F401  the fixture
from tests.parts import eventually

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def die(rig: Rig, template: str, count: int) -> list[str]:  # noqa: F811
    """Jobs that died for want of a template, and nothing else: a group of their own."""
    await asyncio.to_thread(rig.work)
    ids = [f"{template}-{number}" for number in range(count)]
    for job_id in ids:
        await asyncio.to_thread(rig.post, "report", jobId=job_id, user=job_id, template=template)
    for job_id in ids:
        await asyncio.to_thread(rig.api.follow, job_id, "dead")
    return ids


async def states(rig: Rig, ids: list[str]) -> set[str]:  # noqa: F811
    return {(await ask(rig, "GET", f"/api/jobs/{job_id}"))[1]["status"] for job_id in ids}


async def trail(rig: Rig, act: str, reason: str) -> dict[str, Any]:  # noqa: F811
    """The newest act of this sort and reason in the audit trail."""

    async def found() -> Any:
        acts = (await ask(rig, "GET", "/api/admin/audit"))[1]["acts"]
        return next((one for one in acts if one["act"] == act and one["reason"] == reason), None)

    return dict(await eventually(found))


def group(page: Page, template: str) -> Any:
    return page.locator(".group", has_text=f"no template called {template}")


async def test_a_group_is_requeued_and_taken_back_and_requeued(browser: Browser, rig: Rig) -> None:  # noqa: F811
    ids = await die(rig, "lost", 3)
    async with looking(browser, rig, "/dashboard/dead") as page:
        await page.get_by_label("Reason for what you do now").fill("the template was lost")
        await group(page, "lost").get_by_role("button", name="Requeue group").click()
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("heading")).to_have_text("Requeue 3 jobs")
        await dialog.get_by_role("button", name="Requeue 3").click()
        await expect(page.locator(".toast")).to_contain_text("3 jobs will be requeued.")
        await page.get_by_role("button", name="Undo").click()
        await expect(page.locator(".toast", has_text="Taken back")).to_be_visible()
        assert await states(rig, ids) == {"dead"}
        # Now the cause is gone, and they are let go.
        await asyncio.to_thread(rig.bring, "lost")
        await group(page, "lost").get_by_role("button", name="Requeue group").click()
        await dialog.get_by_role("button", name="Requeue 3").click()
        await expect(page.locator(".toast", has_text="3 jobs requeued.")).to_be_visible()
        await expect(group(page, "lost")).to_have_count(0)
    for job_id in ids:
        await asyncio.to_thread(rig.api.follow, job_id, "completed")
    assert (await trail(rig, "retry", "the template was lost"))["after"]


async def test_by_keys_alone(browser: Browser, rig: Rig) -> None:  # noqa: F811
    await die(rig, "keyed", 2)
    async with looking(browser, rig, "/dashboard/dead") as page:
        await expect(group(page, "keyed")).to_be_visible()
        await page.keyboard.press("/")
        await page.keyboard.type("called keyed")
        await expect(page.locator("[data-job]")).to_have_count(2)
        await page.keyboard.press("Tab")  # to the group
        await page.keyboard.press("j")
        here = page.locator("[data-job]:focus-within")
        first = str(await here.get_attribute("data-job"))
        await page.keyboard.press("r")
        await expect(page.locator(".toast")).to_contain_text("1 job will be requeued.")
        await expect(page.locator(f"[data-job={first}]")).to_have_class("leaving")
        assert await here.get_attribute("data-job") != first  # the next one has the focus
        # The undo is there on the next page of the same tab, too.
        await page.keyboard.press("g")
        await page.keyboard.press("l")
        await expect(page).to_have_title("Limits - Yellow Books Jobs")
        await expect(page.locator(".toast")).to_contain_text("1 job will be requeued.")
        await page.keyboard.press("u")
        await expect(page.locator(".toast", has_text="Taken back")).to_be_visible()
        assert await states(rig, [first]) == {"dead"}
        await page.goto(f"{rig.url}/dashboard/dead?error=called+keyed")
        await expect(page.locator("[data-job]")).to_have_count(2)
        await page.keyboard.press("j")
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        dialog = page.get_by_role("dialog")
        await page.keyboard.press("Enter")  # without a reason nothing is discarded
        await expect(dialog).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(dialog).to_have_count(0)
        await page.keyboard.press("x")
        await dialog.get_by_label("Reason").fill("of no use")
        await page.keyboard.press("Enter")
        await expect(page.locator(".toast", has_text="1 job discarded.")).to_be_visible()
        await expect(page.locator("[data-job]")).to_have_count(1)
    assert (await trail(rig, "discard", "of no use"))["what"]


async def test_a_job_is_edited_and_requeued(browser: Browser, rig: Rig) -> None:  # noqa: F811
    [job_id] = await die(rig, "misspelt", 1)
    async with looking(browser, rig, f"/dashboard/jobs/{job_id}", quiet=False) as page:
        await expect(page.locator("#timeline li.died")).to_be_visible()
        await page.locator("#timeline summary").last.click()
        await expect(page.locator("#timeline pre").last).to_contain_text("report.py")
        await page.get_by_role("button", name="Edit and requeue").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Reason").fill("a typing error")
        await page.keyboard.press("Enter")
        text = dialog.get_by_label("Payload")
        await expect(text).to_be_focused()
        payload = json.loads(await text.input_value())
        assert payload["template"] == "misspelt"
        await text.fill("{")
        await expect(dialog.locator(".changes")).to_contain_text("This is no JSON")
        await text.fill(json.dumps(payload | {"templete": "daily"}))
        await dialog.get_by_role("button", name="Save and requeue").click()
        await expect(dialog.get_by_role("alert")).to_contain_text("templete")  # the API's own words, by the field
        await text.fill(json.dumps(payload | {"template": "daily"}))
        await expect(dialog.locator(".changes")).to_have_text('template: "misspelt" → "daily"')
        await dialog.get_by_role("button", name="Save and requeue").click()
        await expect(page.locator(".toast")).to_contain_text("1 job will be requeued.")
        await expect(page.locator("#timeline li.completed")).to_be_visible()  # by itself, when the ten seconds are over
        await expect(page.locator("#job-head")).to_contain_text("Completed")
    act = await trail(rig, "edit", "a typing error")
    assert act["before"] != act["after"]


async def test_personal_data_is_masked_until_a_reason_is_given(browser: Browser, rig: Rig) -> None:  # noqa: F811
    await asyncio.to_thread(rig.work)
    job_id = await asyncio.to_thread(
        rig.post, "signin-notification", email="nobody.bold@example.com", userId="masked-1"
    )
    await asyncio.to_thread(rig.api.follow, job_id, "dead")
    async with looking(browser, rig, f"/dashboard/jobs/{job_id}") as page:
        await expect(page.locator("#payload dd").first).to_be_visible()
        assert "nobody.bold" not in await page.content()
        await page.keyboard.press("v")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Show personal data").click()
        await expect(dialog).to_be_visible()  # no reason, no data
        await dialog.get_by_label("Reason").fill("she asks where her mail is")
        await page.keyboard.press("Enter")
        await expect(page.locator("#payload")).to_contain_text("nobody.bold@example.com")
        await page.get_by_role("button", name="Mask again").click()
        assert "nobody.bold" not in await page.content()
    assert (await trail(rig, "reveal", "she asks where her mail is"))["what"] == job_id


async def test_the_mail_of_a_job_is_shown_and_can_do_nothing(browser: Browser, rig: Rig) -> None:  # noqa: F811
    await asyncio.to_thread(rig.work)
    sent = await asyncio.to_thread(rig.post, "signin-notification", userId="mail-1")
    await asyncio.to_thread(rig.api.follow, sent, "completed")
    dead = await asyncio.to_thread(rig.post, "signin-notification", email="nobody.saw@example.com", userId="mail-2")
    await asyncio.to_thread(rig.api.follow, dead, "dead")
    async with looking(browser, rig, f"/dashboard/jobs/{dead}") as page:
        await page.get_by_role("button", name="Show the mail").click()
        frame = page.frame_locator("iframe")
        await expect(frame.locator("body")).to_contain_text("n***@example.com")
        assert await page.locator("iframe").get_attribute("sandbox") == ""
        await page.get_by_role("button", name="Text", exact=True).click()
        await expect(frame.locator("pre")).to_contain_text("n***@example.com")
        await page.goto(f"{rig.url}/dashboard/jobs/{sent}")
        await expect(page.locator("#mail-body")).to_contain_text("cannot be shown any more")
    assert (await trail(rig, "mail", ""))["what"] == dead


async def test_a_kind_is_paused_and_goes_on(browser: Browser, rig: Rig) -> None:  # noqa: F811
    await asyncio.to_thread(rig.work)
    async with looking(browser, rig, "/dashboard/limits") as page:
        line = page.locator("#kinds tbody tr", has_text="report")
        await line.get_by_role("button", name="Pause").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Reason").fill("a bad release")
        await page.keyboard.press("Enter")
        await expect(line).to_contain_text("a bad release")
        job_id = await asyncio.to_thread(rig.post, "report", user="paused")
        await page.goto(f"{rig.url}/dashboard/jobs/{job_id}")
        await expect(page.locator("#job-head")).to_contain_text("is held since")
        await page.goto(f"{rig.url}/dashboard/limits")
        await line.get_by_role("button", name="Resume").click()
        await dialog.get_by_label("Reason").fill("rolled back")
        await page.keyboard.press("Enter")
        await expect(line).to_contain_text("Runs")
    await asyncio.to_thread(rig.api.follow, job_id, "completed")
    await trail(rig, "pause", "a bad release")
    async with looking(browser, rig, "/dashboard/audit") as page:
        await expect(page.locator("#acts tbody tr", has_text="rolled back")).to_contain_text("resumed")
