"""The HTTP API conforms to its own document, whatever the request: no 500, no hang, no undocumented answer."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import function_app  # noqa: F401 (every module with an endpoint is loaded)
from functions.http.auth import ROLES
from functions.http.schemas import PlanView, RunView
from functions.triggers.openapi import document
from shared.models.runs import RecoveryRun
from tests.app.api import Api
from tests.app.test_index import ROUTES

HANGS_AFTER = 15.0
"""Seconds. No answer takes this long, even on a busy machine."""
EXAMPLES, FEW_EXAMPLES = 60, 20
"""Of each call; few of each word of ``runs/{run_id}/...``, since eight words share one function."""

SCHEMA = schemathesis.openapi.from_dict(document())
OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations()]
ALERTS = "POST /alerts"


def test_the_document_describes_every_route() -> None:
    described = {(method.upper(), path[1:]) for path, methods in document()["paths"].items() for method in methods}
    steering = {
        ("POST", f"runs/{{run_id}}/{word}")
        for word in ("approve", "reject", "proceed", "retry", "commit", "abort", "note", "acknowledge")
    }
    routes = {route for route in ROUTES.values() if "{action" not in route[1]} | steering
    assert described == routes


def test_every_call_of_people_names_the_role_that_it_needs() -> None:
    calls = [call for methods in document()["paths"].values() for call in methods.values()]
    descriptions = [call.get("description", "") for call in calls]
    assert sum(any(f"the role {role}" in text for role in ROLES) for text in descriptions) == len(calls) - 1


def test_the_app_serves_its_document(api: Api) -> None:
    assert api.get("/api/openapi.json").json == document()


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_every_answer_is_one_that_the_document_describes(api: Api, operation: Any, mode: GenerationMode) -> None:
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    if mode is GenerationMode.NEGATIVE:
        checks = [not_a_server_error]  # The host answers paths that are not the app's.

    one_of_many = operation.method.upper() == "POST" and "/runs/{run_id}/" in operation.path

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=FEW_EXAMPLES if one_of_many else EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        case.call_and_validate(
            base_url=f"{api.lab.functions.url}/api",
            headers={"x-functions-key": api.lab.functions.function_key},
            checks=checks,
            timeout=HANGS_AFTER,
        )

    ask()


def test_what_is_read_of_a_run_is_what_the_document_describes(api: Api) -> None:
    with api.started("drill") as run_id:
        RunView.model_validate(api.read(run_id))
        PlanView.model_validate(api.plan())
        assert [RecoveryRun.model_validate(run) for run in api.runs()]
    run = api.read(run_id)
    assert RunView.model_validate(run).steps
    assert set(run) == set(document()["components"]["schemas"]["RunView"]["properties"])


def test_none_of_it_has_moved_customers(api: Api) -> None:
    """Fuzzing can start only drills, of a plan whose name it would have to guess; it never touches Traffic Manager."""
    state = api.plan()
    assert (state["active_site"], state["primary_latched"]) == ("primary", False)
    assert not [label for label in api.writes() if "ndpoints" in label]
