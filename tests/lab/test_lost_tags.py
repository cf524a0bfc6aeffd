"""Recovery points on record, when a policy or a user removes tags from a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.azure.recovery_points import recovery_points
from shared.models import ids
from shared.models.operations import PointInTime
from tests.lab.app_side import AppSide, as_the_app
from tests.lab.azure import DISKS, RECOVERY, SOURCE, compute, copy_of, simulated

PLAN = "contoso"
TAKEN = datetime(2026, 11, 1, 20, 0, tzinfo=UTC)
DATA_UNTIL = TAKEN - timedelta(minutes=4)


@pytest.fixture
def app() -> Iterator[AppSide]:
    with simulated() as azure, as_the_app(azure) as app:
        yield app


def marks(set_id: str, label: str, **changes: str) -> dict[str, str]:
    workload, disk = label.split("/")
    tags = {
        ids.TAG_PLAN: PLAN,
        ids.TAG_SET: set_id,
        ids.TAG_WORKLOAD: workload,
        "coldsite-disk": disk,
        ids.TAG_TAKEN_AT: TAKEN.isoformat(),
        "coldsite-consistency": "application",
        "coldsite-set-size": "2",
        ids.TAG_DATA_UNTIL: DATA_UNTIL.isoformat(),
    }
    return tags | changes


def take(app: AppSide, set_id: str, **changes: str) -> None:
    """A set of two snapshots, as a run takes it; ``changes`` apply to the tags of both."""
    for label in ("sql/os", "sql/data0"):
        path = compute("snapshots", f"{set_id}-{label.replace('/', '-')}")
        app.azure.finished(
            app.azure.ask("PUT", path, DISKS, copy_of(SOURCE) | {"tags": marks(set_id, label, **changes)})
        )


def change(app: AppSide, set_id: str, tag: str, value: str | None) -> None:
    """External changes to one snapshot's tags; None removes a tag."""
    resource = app.azure.compute.resources[compute("snapshots", f"{set_id}-sql-os").lower()]
    if value is None:
        resource["tags"].pop(tag)
    else:
        resource["tags"][tag] = value


def found(app: AppSide) -> dict[str, PointInTime]:
    return {point.set_id: point for point in app.run(recovery_points(RECOVERY, PLAN))}


def test_whole_sets_are_found_with_the_age_of_their_data(app: AppSide) -> None:
    take(app, "set-1")
    (point,) = found(app).values()
    assert (point.taken_at, point.data_until, point.holds_until) == (TAKEN, DATA_UNTIL, DATA_UNTIL)
    assert sorted(point.snapshots) == ["sql/data0", "sql/os"]


def test_a_set_from_before_the_age_was_noted_holds_until_it_was_taken(app: AppSide) -> None:
    take(app, "set-1")
    for label in ("sql-os", "sql-data0"):
        app.azure.compute.resources[compute("snapshots", f"set-1-{label}").lower()]["tags"].pop(ids.TAG_DATA_UNTIL)
    (point,) = found(app).values()
    assert (point.data_until, point.holds_until) == (None, TAKEN)


@pytest.mark.parametrize(
    "tag",
    [
        ids.TAG_SET,
        ids.TAG_PLAN,
        ids.TAG_WORKLOAD,
        ids.TAG_TAKEN_AT,
        "coldsite-disk",
        "coldsite-consistency",
        "coldsite-set-size",
    ],
)
def test_a_snapshot_that_lost_a_tag_only_loses_its_own_set(app: AppSide, tag: str) -> None:
    take(app, "set-1")
    take(app, "set-2")
    change(app, "set-1", tag, None)
    assert list(found(app)) == ["set-2"]


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (ids.TAG_TAKEN_AT, "yesterday"),
        (ids.TAG_TAKEN_AT, "2026-11-01T20:00:00"),
        (ids.TAG_TAKEN_AT, ""),
        ("coldsite-consistency", "fair"),
        ("coldsite-set-size", "two"),
        (ids.TAG_DATA_UNTIL, "soon"),
    ],
)
def test_a_tag_that_cannot_be_read_only_costs_its_own_set(
    app: AppSide, tag: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    take(app, "set-1")
    take(app, "set-2")
    change(app, "set-1", tag, value)
    assert list(found(app)) == ["set-2"]
    (warning,) = [record.getMessage() for record in caplog.records if "set-1-sql-os" in record.getMessage()]
    assert tag in warning


def test_a_tag_that_others_added_costs_nothing(app: AppSide) -> None:
    take(app, "set-1", **{"cost-centre": "4711"})
    assert list(found(app)) == ["set-1"]


def test_a_snapshot_without_any_tags_costs_nothing(app: AppSide) -> None:
    take(app, "set-1")
    stranger: Any = compute("snapshots", "a-strangers")
    app.azure.finished(app.azure.ask("PUT", stranger, DISKS, copy_of(SOURCE)))
    assert list(found(app)) == ["set-1"]
