"""The page in a real browser: an outage, a failover and the way home, by thumb and by keyboard."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from playwright.async_api import expect

from lab.actions import Actions
from lab.cloud.times import Times
from lab.options import LabOptions
from lab.scenario import PROJECT, Event
from lab.twin import Lab
from tests.lab.browser import DESKTOP, NARROW, PLAN, SLOW, faults_of, hold, needs_browser, opened, press, says
from tests.lab.states import every_state
from tests.plans import contoso_with

pytestmark = needs_browser


def test_a_failover_and_the_way_home_from_a_phone() -> None:
    plan = contoso_with({"detection.mode": "approve", "failback.watch_for": "30s"})

    async def main() -> None:
        async with Lab(plan, PLAN, LabOptions(speed=40)) as lab, opened(lab) as (page, complaints):
            await says(page, "ALL WELL")
            await lab.sites.run("primary", running=False)
            await says(page, "ACTION REQUIRED")
            await expect(page.locator(".sentence")).to_contain_text("The plan requires approval.")
            await hold(page, "Yes, go ahead")
            await says(page, "RECOVERING")
            await page.reload()
            await says(page, "RUNNING IN AZURE (NOT PROTECTED)")
            await lab.sites.run("primary", running=True)
            lab.home_copy.order("start", 0)
            await hold(page, "Start the failback", name="contoso")
            await expect(page.locator(".sentence")).to_contain_text("Move customers home?", timeout=SLOW)
            await hold(page, "Yes, go ahead", by_keyboard=True)
            await expect(page.locator(".sentence")).to_contain_text("Home was watched", timeout=SLOW)
            await hold(page, "Commit: customers stay home", by_keyboard=True)
            await expect(page.locator("main")).to_contain_text("sends them to the primary site.", timeout=SLOW)
            assert complaints == []

    asyncio.run(main())


def test_the_page_fits_a_narrow_phone_and_says_when_it_is_stale() -> None:
    async def main() -> None:
        async with Lab(contoso_with({}), PLAN, LabOptions(speed=20)) as lab, opened(lab, NARROW, "dark") as (page, _):
            await says(page, "ALL WELL")
            width = await page.evaluate("document.documentElement.scrollWidth")
            assert width <= NARROW[0]
            gone = Event.model_validate({"at": "0s", "do": "worker.kill", "when": "now", "for": "10m"})
            await Actions(lab, PROJECT).perform(gone)
            await expect(page.locator("#fresh")).to_contain_text("NOT UPDATED", timeout=SLOW)
            await expect(page.locator("body")).to_have_class("stale-page")
            await expect(page.locator("#fresh")).to_contain_text("updated", timeout=SLOW)

    asyncio.run(main())


def test_a_name_must_be_typed_before_anything_is_thrown_away() -> None:
    """The primary is healthy, so that an unplanned failover would lose orders: the forecast says so."""
    plan = contoso_with({"pause": [{"start": "2020-01-01T00:00:00Z", "end": "2120-01-01T00:00:00Z", "reason": "x"}]})

    async def main() -> None:
        async with Lab(plan, PLAN, LabOptions(speed=40)) as lab, opened(lab) as (page, _):
            await says(page, "ALL WELL")
            await lab.call("POST", "plans/contoso/failover", {"reason": "move", "acknowledge_primary_healthy": True})
            await says(page, "RECOVERING")
            await page.get_by_role("button", name="Stop before customers move").click()
            await page.locator("#confirm-reason").press("Enter")
            await expect(page.locator("#confirm-answer")).to_contain_text("Hold the button to confirm")
            await page.locator("#confirm-yes").hover()
            await page.mouse.down()
            await expect(page.locator("#confirm-answer")).to_have_text("Type contoso first.", timeout=SLOW)
            await page.mouse.up()
            await page.locator("#confirm-no").click()
            await hold(page, "Stop before customers move", name="contoso")
            await says(page, "ALL WELL")

    asyncio.run(main())


def test_no_state_of_the_page_has_a_fault_or_scrolls_sideways() -> None:
    """axe, on a narrow phone and on a desktop, in the light and in the dark; and the text at twice its size."""
    plan = contoso_with(
        {"detection.mode": "approve", "detection.confirm_for": "5m", "failback.watch_for": "20m"},
    )
    slowly = LabOptions(speed=40, times=Times(boot_sql=500.0))

    async def main() -> None:
        async with (
            Lab(plan, PLAN, slowly) as lab,
            opened(lab, NARROW) as (phone, complaints),
            opened(lab, DESKTOP) as (desktop, more_complaints),
        ):
            found: dict[str, list[str]] = {}
            async for state in every_state(lab, phone, desktop):
                if state == "all-well":
                    await phone.get_by_text("Ordinary days").click()
                if state == "action-required":
                    for page in (phone, desktop):
                        await page.get_by_role("button", name="Yes, go ahead").click()
                if state == "in-azure":
                    await expect(phone.locator("main")).to_contain_text("has seen it within", timeout=SLOW)
                for device, page in (("phone", phone), ("desktop", desktop)):
                    found[f"{state} on a {device}"] = await faults_of(page)
                if state == "action-required":
                    for page in (phone, desktop):
                        await page.locator("#confirm-no").click()
                    await hold(phone, "I am on it", by_keyboard=True)
                    await expect(phone.locator(".who")).to_contain_text("has been on it since", timeout=SLOW)
            assert {where: what for where, what in found.items() if what} == {}
            assert complaints + more_complaints == []

    asyncio.run(main())


def test_two_people_press_at_once_and_one_run_is_made() -> None:
    plan = contoso_with({"detection.mode": "observe"})

    async def main() -> None:
        async with Lab(plan, PLAN, LabOptions(speed=40)) as lab, opened(lab) as (first, _), opened(lab) as (other, _):
            await lab.sites.run("primary", running=False)
            for page in (first, other):
                await says(page, "SHOP DOWN")
            pressed = await asyncio.gather(*(press(page, "Fail over now") for page in (first, other)))
            assert sorted(pressed) == ["", "refused"], pressed
            await says(first, "RUNNING IN AZURE (NOT PROTECTED)")
            await says(other, "RUNNING IN AZURE (NOT PROTECTED)")
            _, body = await lab.call("GET", "runs?kind=failover")
            assert [run["outcome"] for run in body["runs"] if run["trigger"] == "operator"] == ["succeeded"]

    asyncio.run(main())


def test_the_page_is_small_and_a_poll_without_news_is_empty() -> None:
    async def main() -> None:
        async with Lab(contoso_with({}), PLAN, LabOptions(speed=20)) as lab, aiohttp.ClientSession() as session:
            url, key = lab.functions.url, {"code": lab.functions.function_key}
            async with session.get(f"{url}/api/dashboard", params=key) as answer:
                assert len(await answer.read()) < 60_000
            for _ in range(20):
                async with session.get(f"{url}/api/dashboard.json", params=key) as answer:
                    tag = answer.headers["ETag"]
                async with session.get(
                    f"{url}/api/dashboard.json", params=key, headers={"If-None-Match": tag}
                ) as again:
                    if again.status == 304:
                        assert await again.read() == b""
                        return
            pytest.fail("no two of twenty polls agreed, while nothing happened")

    asyncio.run(main())
