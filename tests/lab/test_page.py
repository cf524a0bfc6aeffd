"""The page in a real browser: an outage, a failover and the way home, by thumb and by keyboard."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright, expect

from lab.options import LabOptions
from lab.scenario import PROJECT
from lab.twin import Lab
from tests.plans import contoso_with

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PLAN = PROJECT / "plans" / "contoso.yaml"
SLOW = 120_000
"""Milliseconds: on a busy machine a failover takes as long."""
PHONE, NARROW, DESKTOP = (390, 844), (360, 780), (1280, 900)

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


async def faults_of(page: Page) -> list[str]:
    """What axe finds on the page as it stands: the rule, and the first place that breaks it."""
    found = await Axe().run(page)
    return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found.response["violations"]]


@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(size: tuple[int, int], scheme: str) -> None:
    """All is well, a question with its dialog, and served from Azure; in the light and in the dark."""
    plan = contoso_with({"detection.mode": "approve"})

    async def main() -> None:
        async with Lab(plan, PLAN, LabOptions(speed=40)) as lab, opened(lab, size, scheme) as (page, complaints):
            found = {}
            await says(page, "ALL WELL")
            await page.get_by_text("Ordinary days").click()
            found["well"] = await faults_of(page)
            await lab.sites.run("primary", running=False)
            await says(page, "ACTION REQUIRED")
            await page.get_by_role("button", name="Yes, go ahead").click()
            found["dialog"] = await faults_of(page)
            await page.locator("#confirm-no").click()
            await hold(page, "I am on it", by_keyboard=True)
            await expect(page.locator(".who")).to_contain_text("is on it since", timeout=SLOW)
            await hold(page, "Yes, go ahead", by_keyboard=True)
            await says(page, "RUNNING IN AZURE (NOT PROTECTED)")
            await expect(page.locator("main")).to_contain_text("has seen it within", timeout=SLOW)
            found["in Azure"] = await faults_of(page)
            for zoom in ("100%", "200%"):
                await page.evaluate(f"document.documentElement.style.fontSize = '{zoom}'")
                wide = await page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                found[f"scrolls at {zoom}"] = [str(wide)] if wide > 0 else []
            assert {where: what for where, what in found.items() if what} == {}
            assert complaints == []

    asyncio.run(main())


def test_two_people_press_at_once_and_one_run_is_made() -> None:
    plan = contoso_with({"detection.mode": "observe"})

    async def main() -> None:
        async with Lab(plan, PLAN, LabOptions(speed=40)) as lab, opened(lab) as (one, _), opened(lab) as (other, _):
            await lab.sites.run("primary", running=False)
            for page in (one, other):
                await says(page, "SHOP DOWN")
            pressed = await asyncio.gather(*(press(page, "Fail over now") for page in (one, other)))
            assert sorted(pressed) == ["", "refused"], pressed
            await says(one, "RUNNING IN AZURE (NOT PROTECTED)")
            await says(other, "RUNNING IN AZURE (NOT PROTECTED)")
            _, body = await lab.call("GET", "runs?kind=failover")
            assert [run["outcome"] for run in body["runs"] if run["trigger"] == "operator"] == ["succeeded"]

    asyncio.run(main())


async def press(page: Page, button: str) -> str:
    """Holds the button of the dialog; ``refused`` when the app has another run already."""
    await page.get_by_role("button", name=button).click(timeout=SLOW)
    await expect(page.locator("#confirm-yes")).to_be_enabled(timeout=SLOW)
    await page.locator("#confirm-yes").focus()
    await page.keyboard.down("Enter")
    await asyncio.sleep(1.6)
    await page.keyboard.up("Enter")
    done = page.locator("#confirm-answer:not(:empty)").or_(page.locator("#confirm:not([open])"))
    await expect(done.first).to_be_attached(timeout=SLOW)
    return "refused" if await page.locator("#confirm").is_visible() else ""


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
