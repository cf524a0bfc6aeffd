"""The failback over HTTP: refused while customers are at home, forecast without starting anything."""

from __future__ import annotations

from tests.app.api import Api

PATH = "/api/plans/contoso/failback"


def test_there_is_no_way_home_from_home(api: Api) -> None:
    problem = api.post(PATH, {"reason": "a mistake"}).problem(409)
    assert problem["detail"] == "Customers are served from the primary site, so there is no failback to make."


def test_a_forecast_shows_both_sites_and_starts_nothing(api: Api) -> None:
    answer = api.post(f"{PATH}?what_if=true", {"reason": "to see"})
    assert answer.status == 200, answer.text
    found = answer.json
    assert found["blockers"][0] == "Customers are served from the primary site, so there is no failback to make."
    assert any(blocker.startswith("Azure's database does not answer: orders") for blocker in found["blockers"])
    assert "database Orders is ONLINE" in found["home"]["orders"]
    assert api.runs("?kind=failback") == []


def test_a_time_needs_its_zone(api: Api) -> None:
    problem = api.post(PATH, {"reason": "tonight", "at": "2027-01-15T22:00:00"}).problem(422)
    assert "at" in problem["detail"]
