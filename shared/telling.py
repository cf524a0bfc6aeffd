"""What happens between runs, told: into the site's story, and to everybody who wants to know when they are needed."""

from __future__ import annotations

from shared.errors import SettingError
from shared.notify import NotifyOrder, send
from shared.plan import RecoveryPlan
from shared.records.events import record_event
from shared.runs import RunRef

WARNS, FAILED = "Coldsite warns:", "Coldsite failed:"
"""How the log begins where somebody must hear of it; the alert rules of ``infra/coldsite/`` look for these words."""


async def tell(plan: RecoveryPlan, said: str) -> None:
    """Writes a sentence into the site's story and sends it. A service that does not take it stops nothing."""
    await record_event(plan.name, said)
    wanted = [one.url_setting for one in plan.notify if "needs_operator" in one.on]
    nobody = RunRef(run_id="", plan=plan.name, epoch=0)
    try:
        await send(NotifyOrder(run=nobody, url_settings=wanted, title=f"{plan.title} needs you", text=said))
    except SettingError:
        return
