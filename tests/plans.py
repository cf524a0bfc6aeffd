"""Plans for tests: contoso as data that a test may change, and as a loaded plan."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from shared.models.plan import RecoveryPlan
from shared.plans.loader import build_plan, load_plan, read_yaml

PLANS = Path(__file__).parent.parent / "plans"
CONTOSO = PLANS / "contoso.yaml"

REMOVED = object()
"""As a value: the key is taken out."""


def contoso_data(changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The parsed file of contoso, with ``changes`` made at dotted keys such as ``traffic.verify.0.http.path``."""
    data: dict[str, Any] = read_yaml(CONTOSO)
    for key, value in (changes or {}).items():
        *parents, last = key.split(".")
        place: Any = data
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place[parent]
        if value is REMOVED:
            del place[last]
        else:
            place[last] = value
    return data


def contoso_with(changes: dict[str, Any]) -> RecoveryPlan:
    """Contoso with changes, validated by the loader."""
    return build_plan(contoso_data(changes), CONTOSO)


@cache
def contoso() -> RecoveryPlan:
    return load_plan(CONTOSO)
