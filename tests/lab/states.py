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


async def every_state(lab: Lab, page: Page) -> AsyncIterator[str]:
    """The name of each state once the page shows it. The plan is in approve mode; what a person does, is done there."""

    async def shown(state: str) -> str:
        await says(page, STATES[state])
        return state

    name = lab.plan.name
    await lab.call("POST", f"plans/{name}/drill", {"reason": "the quarter's drill"})
    await asyncio.sleep(1)
    while (await lab.call("GET", f"plans/{name}"))[1]["active_run"]:
        await asyncio.sleep(0.5)
    yield await shown("all-well")
    await lab.call("POST", f"plans/{name}/pause", {"for": "2h", "reason": "Windows updates"})
    yield await shown("paused")
    await lab.call("POST", f"plans/{name}/pause", {"for": "0s", "reason": "the updates are installed"})
    await shown("all-well")
    await lab.sites.run("primary", running=False)
    yield await shown("shop-down")
    yield await shown("action-required")
    await hold(page, "Yes, go ahead")
    yield await shown("recovering")
    yield await shown("in-azure")
    await lab.sites.run("primary", running=True)
    lab.home_copy.order("start", 0)
    await hold(page, "Start the failback", name=name)
    await shown("action-required")
    await hold(page, "Yes, go ahead")
    yield await shown("coming-home")
