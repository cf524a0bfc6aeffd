"""An alert of Azure Monitor, as far as Coldsite understands it."""

from __future__ import annotations

from typing import Literal

from shared.models.base import Strict

Meaning = Literal["primary_down", "primary_resolved", "noted"]


class Alert(Strict):
    """What Coldsite needs of an alert. ``dedupe_key`` is equal for repetitions of the same alert.

    ``says_offline`` is False for a metric alert whose rule is not about an endpoint that is offline.
    """

    alert_id: str
    rule: str
    condition: Literal["Fired", "Resolved"]
    service: str
    targets: list[str]
    endpoints: list[str]
    says_offline: bool = True
    plan_hint: str | None
    dedupe_key: str
