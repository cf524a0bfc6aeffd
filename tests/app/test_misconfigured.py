"""Contradictory settings: the app does not start, or rejects all requests; it never opens the API by mistake."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.host.wire import WorkerStartError
from tests.app.api import Api
from tests.app.test_api import path_of
from tests.app.test_index import ROUTES, bindings, index_of_the_app
from tests.loops import collect_quietly

CALLS = [(method, path_of(route)) for name, (method, route) in ROUTES.items() if name != "alerts"]
CLAIMS = [("oid", "00000000-0000-0000-0000-00000000ada0"), *(("roles", r) for r in ("viewer", "operator", "approver"))]
FORGED = base64.b64encode(
    json.dumps({"auth_typ": "aad", "claims": [{"typ": kind, "val": value} for kind, value in CLAIMS]}).encode()
).decode()


def levels(folder: Path, **settings: str) -> dict[str, str]:
    """What the host requires before it calls each HTTP function."""
    try:
        index = asyncio.run(index_of_the_app(folder, **settings))
    finally:
        collect_quietly()
    found = bindings(index)
    return {name: next(part["authLevel"] for part in found[name] if "authLevel" in part) for name in ROUTES}


# The start


@pytest.mark.parametrize("word", ["requird", "Required", "true", ""])
def test_refuses_to_start_with_a_misspelt_sign_in(tmp_path: Path, word: str) -> None:
    with pytest.raises(WorkerStartError, match="COLDSITE_SIGN_IN is neither required nor off"):
        levels(tmp_path, COLDSITE_SIGN_IN=word)


@pytest.mark.parametrize("tenant", [{}, {"COLDSITE_TENANT_ID": " "}], ids=["missing", "blank"])
def test_refuses_to_start_with_an_audience_of_alerts_and_no_directory(tmp_path: Path, tenant: dict[str, str]) -> None:
    with pytest.raises(WorkerStartError, match="COLDSITE_TENANT_ID is missing"):
        levels(tmp_path, COLDSITE_ALERTS_AUDIENCE="api://coldsite", **tenant)


def test_where_people_sign_in_only_alerts_ask_for_a_key(tmp_path: Path) -> None:
    people = dict.fromkeys(ROUTES, "ANONYMOUS")
    assert levels(tmp_path, COLDSITE_SIGN_IN="required") == people | {"alerts": "FUNCTION"}


def test_where_alerts_come_with_tokens_only_people_are_asked_for_a_key(tmp_path: Path) -> None:
    everybody = dict.fromkeys(ROUTES, "FUNCTION")
    settings = {"COLDSITE_ALERTS_AUDIENCE": "api://coldsite", "COLDSITE_TENANT_ID": "contoso"}
    assert levels(tmp_path, **settings) == everybody | {"alerts": "ANONYMOUS"}


# Sign-in is required, and App Service Authentication is off


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(settings={"COLDSITE_SIGN_IN": "required"}) as api:
        yield api


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_rejects_every_caller_while_sign_in_is_off(api: Api, method: str, path: str) -> None:
    """No request is accepted: not without credentials, nor with a key, a token or a forged principal."""
    shown: list[dict[str, str]] = [
        {},
        {"X-MS-CLIENT-PRINCIPAL": FORGED},
        {"x-functions-key": api.lab.functions.master_key},
        {"Authorization": f"Bearer {api.lab.identity.person_token('ada', ['viewer', 'operator', 'approver'])}"},
    ]
    for headers in shown:
        problem = api.ask(method, path, b"{}", None, headers).problem(401)["detail"]
        assert "App Service Authentication is off; every request is rejected" in problem


def test_the_app_itself_believes_no_principal_without_proof(api: Api) -> None:
    """Without App Service Authentication the platform passes this header on, whichever client sent it."""
    for spelling in ("X-MS-CLIENT-PRINCIPAL", "x-ms-client-principal"):
        api.past_the_platform("list_plans", {spelling: FORGED}).problem(401)
        pause = {"for": "1h", "reason": "x"}
        api.past_the_platform("pause", {spelling: FORGED}, pause, plan="contoso").problem(401)


def test_alerts_still_come_by_key(api: Api) -> None:
    body = api.alert("resource-health", "by key")
    assert api.ask("POST", "/api/alerts", body, None).status == 401
    assert api.ask("POST", "/api/alerts", body, api.lab.functions.keys["alerts"]).status == 202
