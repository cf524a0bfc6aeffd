"""Azure's own health of the recovery region: which issues hinder a recovery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from azure.core.exceptions import AzureError

from lab.cloud.faults import Fault
from shared.azure.service_health import NEEDED_SERVICES, _in_the_way, active_issues
from tests.lab.app_side import AppSide, as_the_app
from tests.lab.azure import SUBSCRIPTION, simulated

TITLE = "Allocation failures"


def event(
    service: str | None = "Virtual Machines",
    regions: list[dict[str, Any]] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """An event as the feed shows it; ``regions`` are the impacted ones of its one impact."""
    where = [{"impactedRegion": "westeurope", "status": "Active"}] if regions is None else regions
    impact = [{"impactedService": service, "impactedRegions": where}] if service else []
    return {"properties": {"eventType": "ServiceIssue", "status": "Active", "title": TITLE, "impact": impact} | facts}


def region(name: str, **more: Any) -> list[dict[str, Any]]:
    return [{"impactedRegion": name} | more]


@pytest.mark.parametrize("service", sorted(NEEDED_SERVICES))
@pytest.mark.parametrize("spelling", [str.lower, str.title, str.upper])
def test_every_service_that_a_recovery_is_made_of_is_in_the_way(service: str, spelling: Any) -> None:
    assert _in_the_way(event(spelling(service)), "westeurope") == TITLE


@pytest.mark.parametrize(
    ("issue", "location"),
    [
        pytest.param(event(regions=region("West Europe")), "westeurope", id="as people write it"),
        pytest.param(event(regions=region("westeurope")), "West Europe", id="the plan as people write it"),
        pytest.param(event(regions=region("WestEurope")), "westeurope", id="in other letters"),
        pytest.param(event(regions=region("Global")), "westeurope", id="everywhere"),
        pytest.param(event(regions=region("Sweden Central") + region("West Europe")), "westeurope", id="one of two"),
        pytest.param(event(regions=region("westeurope", status="Active")), "westeurope", id="active there"),
        pytest.param(event(regions=region("westeurope", status=None)), "westeurope", id="its status is null"),
        pytest.param(event(regions=[{}, *region("westeurope")]), "westeurope", id="beside a region without a name"),
        pytest.param(
            event(impact=[{"impactedService": "Cosmos DB"}, event()["properties"]["impact"][0]]),
            "westeurope",
            id="one of two services",
        ),
    ],
)
def test_an_issue_there_is_in_the_way(issue: dict[str, Any], location: str) -> None:
    assert _in_the_way(issue, location) == TITLE


@pytest.mark.parametrize(
    "issue",
    [
        pytest.param(event("Azure Cosmos DB"), id="another service"),
        pytest.param(event("Virtual Machines Scale Sets"), id="a service that is named alike"),
        pytest.param(event(regions=region("North Europe")), id="another region"),
        pytest.param(event(regions=region("West Europe 2")), id="a region that is named alike"),
        pytest.param(event(regions=region("West Europe", status="Resolved")), id="resolved there"),
        pytest.param(
            event(regions=region("West Europe", status="Resolved") + region("North Europe", status="Active")),
            id="resolved there, active elsewhere",
        ),
        pytest.param(event(status="Resolved"), id="resolved"),
        *[
            pytest.param(event(eventType=kind), id=kind)
            for kind in ("PlannedMaintenance", "HealthAdvisory", "SecurityAdvisory", "RCA", "EmergingIssues")
        ],
        pytest.param(event(regions=[]), id="no region"),
        pytest.param(event(None), id="no impact"),
        pytest.param(event(impact=None), id="impact is null"),
        pytest.param(event(impact=[{}]), id="an empty impact"),
        pytest.param(event(impact=[{"impactedService": "Storage", "impactedRegions": None}]), id="regions are null"),
        pytest.param(event(regions=[{"impactedRegion": None}]), id="a region without a name"),
        pytest.param(event(regions=[{}]), id="a region that says nothing"),
        pytest.param(
            event(impact=[{"impactedService": None, "impactedRegions": region("West Europe")}]), id="no service"
        ),
        pytest.param(
            {"properties": {"EventType": "ServiceIssue", "Status": "Active"}}, id="the letters of another API"
        ),
        pytest.param({}, id="an empty event"),
        pytest.param({"properties": None}, id="properties are null"),
    ],
)
def test_what_is_over_elsewhere_or_about_something_else_is_not_in_the_way(issue: dict[str, Any]) -> None:
    assert _in_the_way(issue, "westeurope") is None


@pytest.mark.parametrize("title", [None, ""])
def test_an_issue_without_a_title_is_named_by_its_service_and_region(title: str | None) -> None:
    assert _in_the_way(event(title=title), "westeurope") == "Virtual Machines in westeurope"


# Through the SDK's pipeline, from the lab's Service Health


@pytest.fixture(scope="module")
def app() -> Iterator[AppSide]:
    with simulated() as azure, as_the_app(azure) as app:
        yield app


@pytest.mark.parametrize(
    ("trouble", "location", "titles"),
    [
        (None, "westeurope", []),
        ("Virtual Machines", "westeurope", ["ACTIVE: Virtual Machines in westeurope"]),
        ("Virtual Machines", "West Europe", ["ACTIVE: Virtual Machines in westeurope"]),
        ("Virtual Machines", "swedencentral", []),
        ("Azure Cosmos DB", "westeurope", []),
        ("Traffic Manager", "westeurope", ["ACTIVE: Traffic Manager in westeurope"]),
    ],
)
def test_asks_service_health_with_the_apps_own_identity(
    app: AppSide, trouble: str | None, location: str, titles: list[str]
) -> None:
    app.azure.health.in_trouble = trouble
    assert app.run(active_issues(SUBSCRIPTION, location)) == titles


@pytest.mark.parametrize("error", ["429", "lost"])
def test_a_service_health_that_does_not_answer_is_an_error_of_azure_core(app: AppSide, error: str) -> None:
    """The evidence then says "no data" instead of "no trouble"."""
    app.azure.arm.faults.add(Fault("GET events", error, times=100))
    try:
        with pytest.raises(AzureError):
            app.run(active_issues(SUBSCRIPTION, "westeurope"))
    finally:
        app.azure.arm.faults.clear()


def test_a_subscription_whose_health_may_not_be_read_is_an_error_of_azure_core(app: AppSide) -> None:
    with pytest.raises(AzureError, match="AuthorizationFailed"):
        app.run(active_issues("00000000-0000-0000-0000-00000000beef", "westeurope"))
