"""Maintenance, the cooldown, and when a run may start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.models.plan import MaintenanceWindow
from shared.models.site_state import SiteState
from shared.policy.maintenance import maintenance
from shared.services.start_run import is_postponed, why_unsafe

NOW = datetime(2027, 1, 15, 20, 0, tzinfo=UTC)
AMSTERDAM = timezone(timedelta(hours=1), "CET")


def minutes(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


def window(start: float, end: float, reason: str = "patching") -> MaintenanceWindow:
    return MaintenanceWindow(start=minutes(start), end=minutes(end), reason=reason)


# Maintenance


@pytest.mark.parametrize(
    ("windows", "paused_until", "lasts_until"),
    [
        pytest.param([], None, None, id="none"),
        pytest.param([], 30, 30, id="pause"),
        pytest.param([], 0, None, id="pause that ends now"),
        pytest.param([], -1, None, id="pause that has ended"),
        pytest.param([window(-10, 20)], None, 20, id="window"),
        pytest.param([window(0, 20)], None, 20, id="window that begins now"),
        pytest.param([window(-20, 0)], None, None, id="window that ends now"),
        pytest.param([window(-20, -1)], None, None, id="window that has ended"),
        pytest.param([window(1, 20)], None, None, id="window to come"),
        pytest.param([window(-10, 20)], 30, 30, id="the pause is longer"),
        pytest.param([window(-10, 40)], 30, 40, id="the window is longer"),
        pytest.param([window(-10, 40), window(-5, 60), window(-5, 20)], 30, 60, id="the longest of many"),
        pytest.param([window(1, 90), window(-30, 10)], None, 10, id="what is to come does not count yet"),
        pytest.param([window(-10, 20)], -5, 20, id="a pause that has ended beside a window"),
        pytest.param([window(-20, -10)], 5, 5, id="a window that has ended beside a pause"),
    ],
)
def test_the_longest_maintenance_that_is_open_now_counts(
    windows: list[MaintenanceWindow], paused_until: float | None, lasts_until: float | None
) -> None:
    paused = None if paused_until is None else minutes(paused_until)
    found = maintenance(windows, paused, "new firewall (anna)", NOW)
    assert (found and found.until) == (None if lasts_until is None else minutes(lasts_until))


def test_a_pause_is_told_with_its_end_and_its_reason() -> None:
    found = maintenance([window(-10, 20)], minutes(30), "new firewall (anna)", NOW)
    assert found is not None
    assert found.because == "Automatic failover is paused until 2027-01-15 20:30 UTC: new firewall (anna)."


def test_a_window_is_told_with_its_end_its_time_zone_and_its_reason() -> None:
    local = MaintenanceWindow(start=NOW.astimezone(AMSTERDAM), end=minutes(60).astimezone(AMSTERDAM), reason="patching")
    found = maintenance([local], None, None, NOW)
    assert found is not None
    assert found.because == "A maintenance window is open until 2027-01-15 22:00 CET: patching."


def test_a_window_is_the_same_moment_in_every_time_zone() -> None:
    local = MaintenanceWindow(start=NOW.astimezone(AMSTERDAM), end=minutes(60).astimezone(AMSTERDAM), reason="x")
    seen = [maintenance([local], None, None, minutes(m)) is not None for m in (-1, 0, 59, 60)]
    assert seen == [False, True, True, False]


# May a run start?


def state(**changes: object) -> SiteState:
    return SiteState.model_validate({"plan": "contoso", "created_at": NOW} | changes)


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        pytest.param({}, None, id="nothing is in the way"),
        pytest.param({"active_site": "recovery"}, "Azure is already the active site.", id="moved already"),
        pytest.param(
            {"active_site": "recovery", "not_before": minutes(5)}, "already the active site", id="moved and postponed"
        ),
        pytest.param({"active_site": "both"}, "interrupted during cutover", id="both sites serve"),
        pytest.param({"active_site": "none"}, None, id="no site serves"),
        pytest.param({"paused_until": minutes(60), "pause_reason": "x"}, None, id="maintenance is no reason"),
        pytest.param({"not_before": minutes(5)}, None, id="a look that is only postponed is no reason"),
        pytest.param({"paused_until": minutes(60), "not_before": minutes(5)}, None, id="paused, postponed"),
    ],
)
def test_says_why_a_run_must_not_look_now(changes: dict[str, object], because: str | None) -> None:
    sentence = why_unsafe(state(**changes), "failover")
    assert (sentence is None) == (because is None)
    assert because is None or (sentence is not None and because in sentence)


@pytest.mark.parametrize(
    ("not_before", "postponed"),
    [
        pytest.param(None, False, id="no run has cooled down"),
        pytest.param(minutes(5), True, id="to come"),
        pytest.param(NOW, False, id="due now"),
        pytest.param(minutes(-5), False, id="overdue"),
    ],
)
def test_a_look_is_postponed_until_its_time_has_come(not_before: datetime | None, postponed: bool) -> None:
    assert is_postponed(state(not_before=not_before), NOW) is postponed
