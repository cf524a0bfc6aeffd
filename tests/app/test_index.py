"""What Azure sees of function_app.py: every function with its trigger, as the worker reports it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lab.host.wire import WorkerProcess, WorkerStartError
from tests.loops import collect_quietly

REPOSITORY = Path(__file__).parents[2]

ROUTES = {
    "alerts": ("POST", "alerts"),
    "start_failover": ("POST", "plans/{plan}/failover"),
    "start_drill": ("POST", "plans/{plan}/drill"),
    "start_failback": ("POST", "plans/{plan}/failback"),
    "pause": ("POST", "plans/{plan}/pause"),
    "steer_run": ("POST", "runs/{run_id}/{action:alpha}"),
    "list_plans": ("GET", "plans"),
    "read_plan": ("GET", "plans/{plan}"),
    "check_plan": ("GET", "plans/{plan}/check"),
    "settle": ("POST", "plans/{plan}/settle"),
    "read_forecast": ("GET", "plans/{plan}/forecast"),
    "check_history": ("GET", "plans/{plan}/history"),
    "try_notifications": ("POST", "plans/{plan}/notify"),
    "plan_evidence": ("GET", "plans/{plan}/evidence"),
    "read_readiness": ("GET", "plans/{plan}/readiness"),
    "list_points": ("GET", "plans/{plan}/points"),
    "list_runs": ("GET", "runs"),
    "read_run": ("GET", "runs/{run_id}"),
    "run_report": ("GET", "runs/{run_id}/report"),
    "dashboard": ("GET", "dashboard"),
    "run_screen": ("GET", "runs/{run_id}/screens/{workload}"),
    "fleet_status": ("GET", "status"),
    "dashboard_document": ("GET", "dashboard.json"),
    "dashboard_run": ("GET", "dashboard/runs/{run_id}"),
    "dashboard_run_document": ("GET", "dashboard/runs/{run_id}/document"),
    "openapi": ("GET", "openapi.json"),
    "check_self": ("POST", "selfcheck"),
}
TIMERS = {
    "watch": "%COLDSITE_WATCH_SCHEDULE%",
    "start_drills": "0 */5 * * * *",
    "take_recovery_points": "0 */5 * * * *",
    "sweep_readiness": "0 30 */6 * * *",
    "housekeeping": "%COLDSITE_HOUSEKEEPING_SCHEDULE%",
}
ORCHESTRATORS = set(
    "failover failback drill rebuild_in_azure prepare_recovery recover_workload take_set thaw_replica clear_leftovers look_at_replica selfcheck".split()
)
CONTRACT = set(
    """claim_run gather_evidence fence_source freeze_replication take_recovery_point thaw_replication create_disk
    create_machine check_operation probe_workload verify_site enable_recovery disable_primary read_back check_dns
    record_step seal_run notify release_run clean_up""".split()
)
"""The activities that scenarios and histories name: changing one breaks files outside this repository."""
ACTIVITIES = CONTRACT | set(
    """find_recovery_points forget_recovery_points check_maintenance evict_leftover read_replication read_home_commit
    note_replica note_point check_itself call_hook look_home stop_writes final_sync prove_home note_home set_aside enable_primary
    disable_recovery""".split()
)
TELLS_THE_ENGINE = {"alerts", "start_failover", "start_drill", "start_failback", "steer_run", "check_self", *TIMERS}
"""The functions with a durable client."""


async def index_of_the_app(folder: Path, **settings: str) -> list[dict[str, Any]]:
    paths = {"PYTHONPATH": str(REPOSITORY), "COLDSITE_PLANS": str(REPOSITORY / "plans")}
    worker = await WorkerProcess.start(REPOSITORY, paths | settings, folder, folder / "worker.log")
    try:
        return worker.index
    finally:
        await worker.stop()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    found = asyncio.run(index_of_the_app(tmp_path_factory.mktemp("index")))
    collect_quietly()
    return found


def bindings(index: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """By function; the engine's own built-in functions are Microsoft's."""
    return {f["name"]: f["bindings"] for f in index if not f["name"].startswith("BuiltIn__")}


def expected() -> dict[str, list[dict[str, Any]]]:
    """Each function's bindings without the direction, which follows from the type."""

    def trigger(kind: str, name: str, **more: object) -> dict[str, Any]:
        return {"type": kind, "name": name} | more

    http = {
        name: [
            trigger("httpTrigger", "req", methods=[method], route=route, authLevel="FUNCTION"),
            {"type": "http", "name": "$return"},
        ]
        for name, (method, route) in ROUTES.items()
    }
    timers = {name: [trigger("timerTrigger", "timer", schedule=schedule)] for name, schedule in TIMERS.items()}
    orchestrators = {name: [trigger("orchestrationTrigger", "_durable_input")] for name in ORCHESTRATORS}
    activities = {name: [trigger("activityTrigger", "item")] for name in ACTIVITIES}
    client = [{"type": "durableClient", "name": "client"}]
    everything = http | timers | orchestrators | activities
    return {name: (client if name in TELLS_THE_ENGINE else []) + parts for name, parts in everything.items()}


def test_every_function_has_exactly_the_bindings_of_this_table(index: list[dict[str, Any]]) -> None:
    unneeded = ("direction", "durableRequiresGrpc")
    seen = {
        name: [{key: value for key, value in part.items() if key not in unneeded} for part in parts]
        for name, parts in bindings(index).items()
    }
    assert seen == expected()


def test_only_an_answer_goes_out(index: list[dict[str, Any]]) -> None:
    ways = {(part["type"], part["direction"]) for parts in bindings(index).values() for part in parts}
    assert {kind for kind, way in ways if way == "OUT"} == {"http"}
    assert {kind for kind, way in ways if way == "IN"} == {part for part, _ in ways} - {"http"}


def test_every_activity_of_the_contract_is_there(index: list[dict[str, Any]]) -> None:
    activities = {name for name, parts in bindings(index).items() if parts[-1]["type"] == "activityTrigger"}
    assert CONTRACT - activities == set()


def test_no_route_answers_without_a_key(index: list[dict[str, Any]]) -> None:
    levels = {part["authLevel"] for parts in bindings(index).values() for part in parts if "authLevel" in part}
    assert levels == {"FUNCTION"}


def test_a_function_is_named_once(index: list[dict[str, Any]]) -> None:
    names = [function["name"] for function in index]
    assert len(names) == len(set(names))


def test_a_plan_that_cannot_be_used_stops_the_start_with_its_reason(tmp_path: Path) -> None:
    text = (REPOSITORY / "plans" / "contoso.yaml").read_text()
    (tmp_path / "contoso.yaml").write_text(text.replace("mode: automatic ", "mode: automattic "))
    with pytest.raises(WorkerStartError, match="automattic"):
        asyncio.run(index_of_the_app(tmp_path, COLDSITE_PLANS=str(tmp_path)))
    collect_quietly()
