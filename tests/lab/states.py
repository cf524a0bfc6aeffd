"""Every state of the page, in the order of a bad day: pictures are taken of each, and each is searched for faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from playwright.async_api import Page

from lab.twin import Lab
from tests.lab.browser import hold, says

STATES = {
    "all-well": "ALL WELL",
    "paused": "PAUSED",
    "shop-down": "SHOP DOWN",
    "action-required": "ACTION REQUIRED",
    "recovering": "RECOVERING",
    "in-azure": "RUNNING IN AZURE (NOT PROTECTED)",
    "coming-home": "COMING HOME",
}
"""Names of pictures, and the word that the page shows."""


async def every_state(lab: Lab, phone: Page, desktop: Page) -> AsyncIterator[str]:
    """The name of each state once both show it. The plan is in approve mode. A person drills and fails back at the
    desktop, and pauses and approves on the phone.
    """

    async def shown(state: str) -> str:
        for page in (phone, desktop):
            await says(page, STATES[state])
        return state

    name = lab.plan.name
    await says(desktop, STATES["all-well"])
    await hold(desktop, "Run a drill", reason="The quarter's drill")
    while (await lab.call("GET", f"plans/{name}"))[1]["active_run"]:
        await asyncio.sleep(0.5)
    yield await shown("all-well")
    await hold(phone, "Pause for 2 hours", reason="Windows updates")
    yield await shown("paused")
    await hold(phone, "End the pause", reason="The updates are installed")
    await shown("all-well")
    await lab.sites.run("primary", running=False)
    yield await shown("shop-down")
    yield await shown("action-required")
    await hold(phone, "Yes, go ahead")
    yield await shown("recovering")
    yield await shown("in-azure")
    await lab.sites.run("primary", running=True)
    lab.home_copy.order("start", 0)
    await hold(desktop, "Start the failback", name=name)
    await shown("action-required")
    await hold(desktop, "Yes, go ahead")
    yield await shown("coming-home")
