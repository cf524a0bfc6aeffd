"""The page in a real browser: opening it, reading it, pressing its buttons."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright, expect

from lab.scenario import PROJECT
from lab.twin import Lab

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PLAN = PROJECT / "plans" / "contoso.yaml"
SLOW = 120_000
"""Milliseconds: on a busy machine a failover takes as long."""
PHONE, NARROW, DESKTOP = (390, 844), (360, 780), (1280, 900)
SCHEMES = ("light", "dark")
ZOOMS = ("100%", "200%")

needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="This test needs a browser: install chromium (apt-get install chromium)."
)


@asynccontextmanager
async def opened(
    lab: Lab, size: tuple[int, int] = PHONE, scheme: str = "light"
) -> AsyncIterator[tuple[Page, list[str]]]:
    """The page of a lab, and what the browser complains of."""
    address = f"{lab.functions.url}/api/dashboard?code={lab.functions.function_key}"
    async with visited(address, size, scheme) as found:
        yield found


@asynccontextmanager
async def visited(
    address: str, size: tuple[int, int] = PHONE, scheme: str = "light"
) -> AsyncIterator[tuple[Page, list[str]]]:
    """Any page, and what the browser complains of."""
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
        await page.goto(address)
        try:
            yield page, complaints
        finally:
            await browser.close()


async def says(page: Page, word: str) -> None:
    await expect(page.locator(".word")).to_have_text(word, timeout=SLOW)


async def hold(
    page: Page, button: str, *, name: str = "", reason: str = "from the page", by_keyboard: bool = False
) -> None:
    """Presses a button of the page and holds the one in the dialog, until the app has accepted it."""
    await page.get_by_role("button", name=button).click(timeout=SLOW)
    await expect(page.locator("#confirm")).to_be_visible()
    if name:
        await page.locator("#confirm-name").fill(name)
    await page.locator("#confirm-reason").fill(reason)
    await _keep_pressed(page, by_keyboard=by_keyboard)
    await expect(page.locator("#confirm")).to_be_hidden(timeout=SLOW)


async def _keep_pressed(page: Page, *, by_keyboard: bool) -> None:
    """Holds the button of the dialog for longer than it asks."""
    yes = page.locator("#confirm-yes")
    await expect(yes).to_be_enabled(timeout=SLOW)
    await (yes.focus() if by_keyboard else yes.hover())
    await (page.keyboard.down("Enter") if by_keyboard else page.mouse.down())
    await asyncio.sleep(1.6)
    await (page.keyboard.up("Enter") if by_keyboard else page.mouse.up())


async def press(page: Page, button: str) -> str:
    """The same, where the app may have another run already; ``refused`` then."""
    await page.get_by_role("button", name=button).click(timeout=SLOW)
    await _keep_pressed(page, by_keyboard=True)
    done = page.locator("#confirm-answer:not(:empty)").or_(page.locator("#confirm:not([open])"))
    await expect(done.first).to_be_attached(timeout=SLOW)
    return "refused" if await page.locator("#confirm").is_visible() else ""


async def faults_of(page: Page) -> list[str]:
    """What axe finds on the page as it stands, in the light and in the dark, and what scrolls sideways."""
    faults: list[str] = []
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        found = await Axe().run(page)
        faults += [
            f"{scheme}: {violation['id']}: {violation['nodes'][0]['html'][:120]}"
            for violation in found.response["violations"]
        ]
    for zoom in ZOOMS:
        await page.evaluate(f"document.documentElement.style.fontSize = '{zoom}'")
        wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        faults += [f"scrolls by {wide} at {zoom}"] if wide > 0 else []
    await page.evaluate("document.documentElement.style.fontSize = ''")
    return faults
