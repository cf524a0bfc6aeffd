"""The pictures of the page in docs/images: ``python -m tests.lab.take_screens``, from the project's folder.

A failover in approve mode is driven in the lab; each state is taken on a phone in the light and on a desktop in the dark.
"""

from __future__ import annotations

import asyncio

from playwright.async_api import Page

from lab.options import LabOptions
from lab.scenario import PROJECT
from lab.twin import Lab
from tests.lab.test_page import PHONE, PLAN, hold, opened, says
from tests.plans import contoso_with

IMAGES = PROJECT / "docs" / "images"
DESKTOP = (1100, 760)


async def take(name: str, phone: Page, desktop: Page) -> None:
    """Both pictures of the current state."""
    for page, device in ((phone, "phone"), (desktop, "desktop")):
        await page.reload()
        await page.wait_for_timeout(1200)
        await page.screenshot(path=IMAGES / f"{name}-{device}.png", full_page=device == "phone")
    print(name, flush=True)


async def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    plan = contoso_with({"detection.mode": "approve", "failback.watch_for": "2m"})
    async with (
        Lab(plan, PLAN, LabOptions(speed=20)) as lab,
        opened(lab, PHONE) as (phone, _),
        opened(lab, DESKTOP, "dark") as (desktop, _),
    ):
        await lab.call("POST", f"plans/{plan.name}/drill", {"reason": "the quarter's drill"})
        await asyncio.sleep(1)
        await says(phone, "ALL WELL")
        while (await lab.call("GET", f"plans/{plan.name}"))[1]["active_run"]:
            await asyncio.sleep(1)
        await take("all-well", phone, desktop)
        await lab.sites.run("primary", running=False)
        await says(phone, "SHOP DOWN")
        await take("shop-down", phone, desktop)
        await says(phone, "ACTION REQUIRED")
        await take("action-required", phone, desktop)
        await hold(phone, "Yes, go ahead")
        await asyncio.sleep(12)
        await take("recovering", phone, desktop)
        await says(phone, "RUNNING IN AZURE (NOT PROTECTED)")
        await take("in-azure", phone, desktop)
        await lab.sites.run("primary", running=True)
        lab.home_copy.order("start", 0)
        await hold(phone, "Start the failback", name=plan.name)
        await says(phone, "ACTION REQUIRED")
        await hold(phone, "Yes, go ahead")
        await says(phone, "COMING HOME")
        await take("coming-home", phone, desktop)


if __name__ == "__main__":
    asyncio.run(main())
