"""Every recovery plan that is deployed, by name: read once when the app starts."""

from __future__ import annotations

from shared import settings
from shared.models.plan import RecoveryPlan
from shared.plans.loader import load_plans

PLANS: dict[str, RecoveryPlan] = load_plans(settings.plans_folder())
"""Every deployed plan by name. An invalid plan prevents the start."""
