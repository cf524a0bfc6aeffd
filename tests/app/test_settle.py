"""Settling over HTTP: what is seen is shown, nothing is stored by a rehearsal, and four eyes are two people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.api import Api
from tests.plans import contoso_with

PATH = "/api/plans/contoso/settle"
HOME = {"served_from": "primary", "reason": "the row was edited"}
FOUR_EYES = contoso_with({"detection.approval": {"deadline": "30m", "then": "expire", "four_eyes": True}})


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(FOUR_EYES, "housekeeping", people={"ada": ["operator"], "olga": ["operator"], "vic": ["viewer"]}) as api:
        yield api


def settled(api: Api, person: str, body: dict[str, Any], query: str = "") -> dict[str, Any]:
    answer = api.ask_as(person, "POST", f"{PATH}{query}", body)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def test_a_rehearsal_shows_both_sites_and_stores_nothing(api: Api) -> None:
    before = api.story()
    found = settled(api, "ada", HOME, "?what_if=true")
    assert (found["settled"], found["found"]["routes_to"], found["found"]["primary_serves"]) == (False, "primary", True)
    assert "Nothing was stored." in found["sentence"]
    assert api.story() == before


def test_what_contradicts_is_refused_with_both_views(api: Api) -> None:
    problem = api.ask_as("ada", "POST", PATH, {"served_from": "recovery", "reason": "a mistake"}).problem(409)
    assert "Traffic Manager routes to the primary site." in problem["detail"]
    assert "The recovery site does not serve:" in problem["detail"]
    assert problem["found"]["routes_to"] == "primary"


def test_only_azure_can_be_settled_for_good(api: Api) -> None:
    problem = api.ask_as("ada", "POST", PATH, HOME | {"for_good": True}).problem(409)
    assert "only for Azure" in problem["detail"]


def test_four_eyes_are_two_people(api: Api) -> None:
    first = settled(api, "ada", HOME)
    again = settled(api, "ada", HOME)
    assert (first["settled"], again["settled"]) == (False, False)
    assert "A second person must run the same command" in first["sentence"]
    assert settled(api, "olga", HOME)["settled"]
    assert api.story()[0].startswith("Settled by olga@contoso.example (")
    assert not settled(api, "ada", HOME)["settled"], "a settled proposal is used up"


def test_a_viewer_cannot_settle(api: Api) -> None:
    api.ask_as("vic", "POST", PATH, HOME).problem(403)
