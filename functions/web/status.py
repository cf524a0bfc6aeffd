"""The status of every plan in a few words, for a provider who looks after many Coldsites."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime

from functions.http.views import plan_view
from functions.web.situation import Tone, situation
from shared import settings
from shared.models.base import Strict
from shared.models.plan import RecoveryPlan


class PlanStatus(Strict):
    """One plan: the page's banner and sentence. ``waits_for_a_person`` and who is on it; None where no one is."""

    name: str
    title: str
    word: str
    tone: Tone
    sentence: str
    since: datetime | None
    waits_for_a_person: bool
    acknowledged_by: str | None
    last_good_drill: datetime | None


class Status(Strict):
    """``app`` is the host's name, and ``page`` its page; both are empty outside of App Service."""

    app: str
    page: str
    at: datetime
    plans: list[PlanStatus]


async def status(plans: Iterable[RecoveryPlan]) -> Status:
    """From stored state: no site and no Azure service is asked."""
    page = settings.page() or ""
    return Status(
        app=page.removeprefix("https://").partition("/")[0],
        page=page,
        at=datetime.now(UTC),
        plans=list(await asyncio.gather(*(_of(plan) for plan in plans))),
    )


async def _of(plan: RecoveryPlan) -> PlanStatus:
    view = await plan_view(plan)
    seen = situation(view, datetime.now(UTC))
    return PlanStatus(
        name=view.name,
        title=view.title,
        word=seen.word,
        tone=seen.tone,
        sentence=seen.sentence,
        since=seen.since,
        waits_for_a_person=bool(view.run and view.run.waiting_for),
        acknowledged_by=view.run.acknowledged_by if view.run else None,
        last_good_drill=view.last_good_drill,
    )
