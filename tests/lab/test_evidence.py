"""Each source of evidence, and that a probe does not mistake the recovery site for the primary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web

from lab.cloud.faults import Fault
from shared.models.evidence import Evidence
from shared.models.orders import Sources
from shared.models.plan import RecoveryPlan
from shared.probes.evidence import gather
from tests.lab.app_side import AppSide, as_the_app
from tests.lab.azure import PROFILE, RECOVERY, SUBSCRIPTION, simulated
from tests.lab.peer import free_port
from tests.plans import contoso_with

PRIMARY, RECOVERED = "127.88.0.1", "127.0.0.1"
"""The addresses of the two sites, on one port. The second one also has a name."""
NAMED = "localhost"
HEALTHY, UNWELL = ("healthy", 200), ("the database does not answer", 503)

PAGE = {"path": "/health", "expect": {"status": [200], "text": "healthy"}, "timeout": "2s"}
SIGNALS: dict[str, Any] = {
    "public": {"path": "public", "http": PAGE | {"connect_to": "PRIMARY_ADDRESS"}},
    "traffic": {"path": "public", "traffic_manager": {}},
    "azure": {"role": "recovery", "azure_health": {}},
}


def plan(changes: dict[str, Any] | None = None, **signals: Any) -> RecoveryPlan:
    """A plan whose pages are plain HTTP, in the group and with the profile of the simulated Azure."""
    changes = changes or {}
    group = changes.get("recovery.resource_group", RECOVERY)
    return contoso_with(
        {
            "detection.mode": "approve",
            "detection.quorum": 1,
            "detection.signals": SIGNALS | signals,
            "traffic.verify": [{"http": PAGE | {"connect_to": "RECOVERY_PUBLIC_ADDRESS"}}],
            "traffic.profile": PROFILE,
            "traffic.primary": {"endpoint": "primary", "type": "externalEndpoints"},
            "traffic.recovery": {"endpoint": "recovery", "type": "azureEndpoints"},
            "recovery.resource_group": group,
        }
        | {
            f"recovery.workloads.{workload}.nic.{role}": (
                f"{group}/providers/Microsoft.Network/networkInterfaces/{workload}-{role}"
            )
            for workload in ("sql", "iis")
            for role in ("failover", "drill")
        }
        | changes
    )


@pytest.fixture(scope="module")
def app() -> Iterator[AppSide]:
    with simulated() as azure, as_the_app(azure) as app:
        yield app


async def serve(address: str, port: int, text: str, status: int) -> web.AppRunner:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=text, status=status)

    server = web.Application()
    server.router.add_get("/health", page)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    return runner


class Sites:
    """Both sites on one port, and the settings that point to them."""

    def __init__(self, app: AppSide, environment: pytest.MonkeyPatch) -> None:
        self._app = app
        self._environment = environment
        self._runners: list[web.AppRunner] = []
        self.port = free_port()

    def answer(self, address: str, page: tuple[str, int]) -> None:
        self._runners.append(self._app.run(serve(address, self.port, *page)))

    def lead(self, primary: str, recovery: str) -> None:
        self._environment.setenv("PRIMARY_ADDRESS", f"{primary}:{self.port}")
        self._environment.setenv("RECOVERY_PUBLIC_ADDRESS", f"{recovery}:{self.port}")

    def close(self) -> None:
        for runner in self._runners:
            self._app.run(runner.cleanup())


@pytest.fixture
def sites(app: AppSide, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sites]:
    sites = Sites(app, monkeypatch)
    sites.lead(PRIMARY, RECOVERED)
    yield sites
    sites.close()


def seen(app: AppSide, signal: str, asked: RecoveryPlan | None = None) -> Evidence:
    order = Sources.of(asked or plan())
    return next(evidence for evidence in app.run(gather(order)).evidence if evidence.signal == signal)


# The recovery site is not taken for the primary


@pytest.mark.parametrize(
    ("primary", "recovery"), [(RECOVERED, RECOVERED), (NAMED, RECOVERED), (RECOVERED, NAMED)], ids=repr
)
def test_a_page_at_the_recovery_sites_address_says_nothing_of_the_primary(
    app: AppSide, sites: Sites, primary: str, recovery: str
) -> None:
    sites.answer(RECOVERED, HEALTHY)
    sites.lead(primary, recovery)
    found = seen(app, "public")
    assert (found.state, found.counts_as) == ("no_data", "no_data")
    assert found.detail == f"{RECOVERED} is the recovery site's address, so this is not the primary's answer"


def test_an_unwell_page_at_the_recovery_sites_address_says_nothing_of_the_primary_either(
    app: AppSide, sites: Sites
) -> None:
    sites.answer(RECOVERED, UNWELL)
    sites.lead(RECOVERED, RECOVERED)
    assert seen(app, "public").state == "no_data"


def test_a_recovery_site_that_does_not_exist_yet_is_no_evidence_of_an_outage(app: AppSide, sites: Sites) -> None:
    """Before a failover the recovery address does not answer: a wrong setting must not look like a primary that is
    down.
    """
    sites.lead(RECOVERED, RECOVERED)
    assert seen(app, "public").state == "no_data"


@pytest.mark.parametrize(("page", "state"), [(HEALTHY, "up"), (UNWELL, "down"), (("Welcome!", 200), "down")])
def test_the_primarys_own_page_is_judged_beside_a_recovery_site_that_serves(
    app: AppSide, sites: Sites, page: tuple[str, int], state: str
) -> None:
    sites.answer(PRIMARY, page)
    sites.answer(RECOVERED, HEALTHY)
    assert seen(app, "public").state == state


@pytest.mark.parametrize("recovery", [RECOVERED, "127.88.0.3", "nowhere.invalid"])
def test_the_primarys_page_is_up_wherever_the_recovery_site_is(app: AppSide, sites: Sites, recovery: str) -> None:
    sites.answer(PRIMARY, HEALTHY)
    sites.lead(PRIMARY, recovery)
    assert seen(app, "public").state == "up"


# Silence has a reason


def test_a_setting_that_is_missing_is_no_data_and_is_named(
    app: AppSide, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRIMARY_ADDRESS")
    found = seen(app, "public")
    assert found.state == "no_data"
    assert "PRIMARY_ADDRESS" in found.detail


@pytest.mark.parametrize(("declared", "counts_as"), [("down", "down"), ("ignored", "no_data")])
def test_no_data_counts_as_the_plan_declares(
    app: AppSide, sites: Sites, monkeypatch: pytest.MonkeyPatch, declared: str, counts_as: str
) -> None:
    monkeypatch.delenv("PRIMARY_ADDRESS")
    found = seen(app, "public", plan(public=SIGNALS["public"] | {"no_data": declared}))
    assert (found.state, found.counts_as) == ("no_data", counts_as)


@pytest.mark.parametrize(
    ("operation", "signal"), [("GET externalEndpoints", "traffic"), ("GET events", "azure")], ids=["traffic", "azure"]
)
def test_an_azure_that_does_not_answer_is_no_data(app: AppSide, sites: Sites, operation: str, signal: str) -> None:
    app.azure.arm.faults.add(Fault(operation, "429", times=100))
    try:
        found = seen(app, signal)
    finally:
        app.azure.arm.faults.clear()
    assert (found.state, found.detail) == ("no_data", "Azure did not answer (OperationNotAllowed)")


@pytest.mark.parametrize(
    ("key", "place", "signal"),
    [("traffic.profile", PROFILE, "traffic"), ("recovery.resource_group", RECOVERY, "azure")],
)
def test_a_right_that_is_missing_is_no_data_and_azures_code_is_named(
    app: AppSide, sites: Sites, key: str, place: str, signal: str
) -> None:
    foreign = place.replace(SUBSCRIPTION, "00000000-0000-0000-0000-00000000beef")
    found = seen(app, signal, plan({key: foreign}))
    assert (found.state, found.counts_as) == ("no_data", "no_data")
    assert found.detail == "Azure did not answer (AuthorizationFailed)"


# Azure's own health


@pytest.mark.parametrize(
    ("trouble", "state", "detail"),
    [
        (None, "up", "no incidents reported in westeurope"),
        ("Azure Cosmos DB", "up", "no incidents reported in westeurope"),
        ("Virtual Machines", "down", "ACTIVE: Virtual Machines in westeurope"),
    ],
)
def test_azures_own_health_is_evidence_about_where_to_go(
    app: AppSide, sites: Sites, trouble: str | None, state: str, detail: str
) -> None:
    app.azure.health.in_trouble = trouble
    found = seen(app, "azure")
    app.azure.health.in_trouble = None
    assert (found.role, found.state, found.detail) == ("recovery", state, detail)


@pytest.mark.parametrize(
    ("monitor", "state"),
    [
        ("Online", "up"),
        ("Degraded", "down"),
        ("CheckingEndpoint", "no_data"),
        ("Disabled", "no_data"),
        ("Stopped", "no_data"),
        ("Inactive", "no_data"),
    ],
)
def test_only_traffic_managers_clear_words_count(app: AppSide, sites: Sites, monitor: str, state: str) -> None:
    app.azure.traffic.endpoints["primary"].monitor = monitor
    found = seen(app, "traffic")
    assert (found.state, found.detail) == (state, f"Traffic Manager says {monitor}")
