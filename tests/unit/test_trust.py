"""Whether automatic failover has been earned."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.models.detection import Trust
from shared.policy.trust import trust_limitation

NOW = datetime(2027, 1, 15, 20, 0, tzinfo=UTC)
TRUST = Trust(drill_within=timedelta(hours=20), observed_for=timedelta(hours=10))
DRILL = "No drill has succeeded within the last 20 h, so a person must approve."
WATCHED = "Coldsite has watched this plan for less than 10 h, so a person must approve."


def hours_ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


@pytest.mark.parametrize(
    ("drill", "since", "limitation"),
    [
        (hours_ago(1), hours_ago(11), None),
        (hours_ago(20), hours_ago(10), None),
        (hours_ago(20.01), hours_ago(11), DRILL),
        (None, hours_ago(11), DRILL),
        (hours_ago(1), hours_ago(9.99), WATCHED),
        (None, hours_ago(1), DRILL),
    ],
)
def test_asks_a_person_until_a_drill_and_a_time_of_watching_both_hold(
    drill: datetime | None, since: datetime, limitation: str | None
) -> None:
    assert trust_limitation(TRUST, drill, since, NOW) == limitation


def test_a_drill_of_another_recovery_does_not_count() -> None:
    limitation = trust_limitation(TRUST, hours_ago(1), hours_ago(11), NOW, changed_since_the_drill=True)
    assert limitation == "The plan's recovery has changed since the last successful drill, so a person must approve."
    assert trust_limitation(None, hours_ago(1), hours_ago(11), NOW, changed_since_the_drill=True) is None


def test_trust_that_is_off_asks_for_nothing() -> None:
    assert trust_limitation(None, None, NOW, NOW) is None


def test_says_a_limit_of_days_in_days() -> None:
    trust = Trust(drill_within=timedelta(days=90), observed_for=timedelta(days=14))
    assert "90 d" in (trust_limitation(trust, None, NOW, NOW) or "")
