"""The pictures of the page in docs/images: ``python -m tests.lab.take_screens``, from the project's folder.

A day in the lab is driven from the page; each state is taken on a phone and on a desktop, in the light and in the dark.
"""

from __future__ import annotations

import asyncio

from playwright.async_api import Page

from lab.options import LabOptions
from lab.scenario import PROJECT
from lab.twin import Lab
from tests.lab.browser import PHONE, PLAN, SCHEMES, opened
from tests.lab.states import every_state
from tests.plans import contoso_with

IMAGES = PROJECT / "docs" / "images"
SHORT = (1100, 760)
"""A desktop whose picture fits a page of documentation."""


async def take(name: str, device: str, page: Page) -> None:
    """Both pictures of the current state."""
    await page.reload()
    await page.wait_for_timeout(1200)
    for scheme in SCHEMES:
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.screenshot(path=IMAGES / f"{name}-{device}-{scheme}.png", full_page=device == "phone")


async def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    plan = contoso_with({"detection.mode": "approve", "detection.confirm_for": "4m", "failback.watch_for": "5m"})
    async with (
        Lab(plan, PLAN, LabOptions(speed=20)) as lab,
        opened(lab, PHONE) as (phone, _),
        opened(lab, SHORT) as (desktop, _),
    ):
        async for state in every_state(lab, phone, desktop):
            if state == "recovering":
                await asyncio.sleep(12)
            for device, page in (("phone", phone), ("desktop", desktop)):
                await take(state, device, page)
            print(state, flush=True)


if __name__ == "__main__":
    asyncio.run(main())
