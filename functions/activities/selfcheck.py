"""The step of the self-check: the app's own problems."""

from __future__ import annotations

import azure.durable_functions as df

from functions.activities.base import activity
from functions.deployed_plans import PLANS
from shared import settings
from shared.models.base import Strict
from shared.models.errors import SettingError
from shared.models.steps import Order
from shared.store import site_state

bp = df.Blueprint()


class Itself(Strict):
    """The app's own problems; empty when there are none."""

    problems: list[str]


@activity(bp, "never")
async def check_itself(order: Order) -> Itself:
    """Reads the history once, and every setting that a plan names. Changes nothing."""
    await site_state.read_state(order.run.plan)
    problems = [] if PLANS else ["No recovery plan is deployed: plans/ is empty."]
    for name in sorted({name for plan in PLANS.values() for name in plan.settings}):
        try:
            settings.named(name)
        except SettingError as error:
            problems.append(str(error))
    return Itself(problems=problems)
