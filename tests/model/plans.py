"""Plans for the model: contoso, with shorter waits where a wait only costs turns."""

from __future__ import annotations

from functools import cache
from typing import Any

from shared.models.plan import RecoveryPlan
from tests.plans import REMOVED, contoso_with


@cache
def model_plan(mode: str = "automatic", after_hold: str = "retry", fenced: bool = True) -> RecoveryPlan:
    """Without a fence, an automatic failover prepares its recovery while it confirms the outage."""
    changes: dict[str, Any] = {
        "detection.mode": mode,
        "detection.confirm_for": "30s",
        "detection.confirm_deadline": "3m",
        "recovery.probe": {"interval": "15s", "timeout": "3m", "successes": 2},
        "recovery.operation_timeout": "4m",
        "recovery.poll_at_least": "5s",
        "traffic.dns_timeout": "1m",
        "recovery.hold_for": "2h",
        "recovery.after_hold": after_hold,
        "recovery.workloads.sql.expected_boot": "1m",
        "recovery.workloads.sql.boot_timeout": "2m",
        "recovery.workloads.iis.expected_boot": "1m",
        "recovery.workloads.iis.boot_timeout": "2m",
        "drill.keep_for": "5m",
        "drill.schedule": REMOVED,
        "notify": [{"url_setting": "NOTIFY_URL", "on": ["needs_operator", "finished"]}],
    }
    if fenced:
        changes["fence"] = {"hook": "FENCE_HOOK"}
    return contoso_with(changes)
