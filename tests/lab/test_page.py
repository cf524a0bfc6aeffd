"""The page in a real browser: an outage, a failover and the way home, by thumb and by keyboard."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Page, async_playwright, expect

from lab.options import LabOptions
from lab.scenario import PROJECT
from lab.twin import Lab
from tests.plans import contoso_with

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PLAN = PROJECT / "plans" / "contoso.yaml"
SLOW = 120_000
"""Milliseconds: on a busy machine a failover takes as long."""
PHONE, NARROW = (390, 844), (360, 780)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="This test needs a browser: install chromium (apt-get install chromium)."
)


@asynccontextmanager
async def opened(
    lab: Lab, size: tuple[int, int] = PHONE, scheme: str = "light"
) -> AsyncIterator[tuple[Page, list[str]]]:
    """The page, and what the browser complains of."""
    async with async_playwright() as tools:
        browser = await tools.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = await browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = await context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(f"{lab.functions.url}/api/dashboard?code={lab.functions.function_key}")
        try:
            yield page, complaints
        finally:
            await browser.close()


async def says(page: Page, word: str) -> None:
    await expect(page.locator(".word")).to_have_text(word, timeout=SLOW)


async def hold(page: Page, button: str, *, name: str = "", by_keyboard: bool = False) -> None:
    """Presses a button of the page and holds the one in the dialog, until the app has accepted it."""
    await page.get_by_role("button", name=button).click(timeout=SLOW)
    await expect(page.locator("#confirm")).to_be_visible()
    if name:
        await page.locator("#confirm-name").fill(name)
    await page.locator("#confirm-reason").fill("from the page")
    await expect(page.locator("#confirm-yes")).to_be_enabled(timeout=SLOW)
    if by_keyboard:
        await page.locator("#confirm-yes").focus()
        await page.keyboard.down("Enter")
        await asyncio.sleep(1.6)
        await page.keyboard.up("Enter")
    else:
        await page.locator("#confirm-yes").hover()
        await page.mouse.down()
        await asyncio.sleep(1.6)
        await page.mouse.up()
    await expect(page.locator("#confirm")).to_be_hidden(timeout=SLOW)


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
            await page.route("**/dashboard.json*", lambda route: route.abort())
            await expect(page.locator("#fresh")).to_contain_text("NOT UPDATED", timeout=SLOW)
            await expect(page.locator("body")).to_have_class("stale-page")
            await page.unroute("**/dashboard.json*")
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
            await page.locator("#confirm-yes").hover()
            await page.mouse.down()
            await expect(page.locator("#confirm-answer")).to_have_text("Type contoso first.", timeout=SLOW)
            await page.mouse.up()
            await page.locator("#confirm-no").click()
            await hold(page, "Stop before customers move", name="contoso")
            await says(page, "ALL WELL")

    asyncio.run(main())
