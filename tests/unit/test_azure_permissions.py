"""What Coldsite's identity must be allowed to do, against what the templates deploy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from shared.models.readiness import Rights
from shared.policy.azure_permissions import NEEDED, Place, missing

ROLES = Path(__file__).parents[2] / "infra" / "roles"
ASKING = "Microsoft.Authorization/permissions/read"


@pytest.mark.parametrize("place", get_args(Place))
def test_what_is_needed_is_what_the_templates_deploy(place: Place) -> None:
    deployed = json.loads((ROLES / f"{place}.json").read_text())["Actions"]
    assert set(NEEDED[place]) == set(deployed) - {ASKING}
    assert missing(place, [Rights(actions=deployed)]) == []


@pytest.mark.parametrize(
    ("granted", "lacks"),
    [
        ([Rights(actions=["*"])], 0),
        ([Rights(actions=["microsoft.compute/*/read", "Microsoft.Compute/*/action"])], 0),
        ([Rights(actions=["*/read"])], 2),
        ([Rights(actions=["*"], not_actions=["Microsoft.Compute/disks/*"])], 2),
        ([Rights(actions=["*"], not_actions=["Microsoft.Compute/disks/*"]), Rights(actions=["*/disks/read"])], 1),
        ([], 3),
    ],
)
def test_wildcards_and_exceptions_count_as_in_azure(granted: list[Rights], lacks: int) -> None:
    assert len(missing("replica", granted)) == lacks
