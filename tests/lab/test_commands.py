"""The output and the requests of single commands, before and after confirmation."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from cli import show
from cli.api import Api, ApiError, find_target
from cli.show import moment
from functions.http.schemas import Checked, PointView
from shared.models.evidence import Evidence
from shared.models.plan import TEXTS_OF_FILES
from tests.lab.screens import NOW, RUN, Coldsite, plan, seen, waiting
from tests.plans import contoso

MARKUP = "[/subscriptions/s] was [red]refused[/red] [bold"


def spoken(minutes: float = 0) -> str:
    return moment((NOW - timedelta(minutes=minutes)).isoformat())


# check


def checked(says: str, *evidence: Evidence) -> dict[str, Any]:
    look = {"plan": "contoso", "at": NOW, "says": says, "sentence": "All.", "evidence": list(evidence)}
    return Checked.model_validate(look).model_dump(mode="json")


BLIND = seen("vpn", "no_data", "10.1.0.5 answered and refused the login: Login failed (error 18456)", spoke=True)
GONE = seen("public", "down", "203.0.113.10 gave no answer in time")
GOOD = seen("public", "up", "203.0.113.10 answered 200")
BEAT = seen("agent", "up", "last sign of life", age=243.0)
REGION = seen("azure", "up", "no incidents reported in westeurope", role="recovery")


@pytest.mark.parametrize(
    ("says", "evidence", "sentence"),
    [
        ("up", [GOOD], "The primary site answers."),
        ("down", [GONE], "The primary site does not answer."),
        ("unclear", [GONE, BEAT], "The checks do not agree."),
        ("blind", [GONE], "Coldsite has lost connectivity."),
        ("up", [GOOD, BLIND], "The primary site answers. No data from vpn: fix the problem on its line."),
    ],
)
def test_check_says_what_the_checks_come_to_and_which_are_blind(
    site: Coldsite, says: str, evidence: list[Evidence], sentence: str
) -> None:
    site.says("plans/contoso/check", checked(says, *evidence))
    assert site.run("check", "contoso").endswith(sentence)


def test_check_prints_one_line_a_signal_with_path_state_and_age(site: Coldsite) -> None:
    site.says("plans/contoso/check", checked("unclear", GONE, BLIND, BEAT, REGION))
    output = site.run("check", "contoso")
    assert "public public down 203.0.113.10 gave no answer in time" in output
    assert "vpn vpn no data 10.1.0.5 answered and refused the login" in output
    assert "agent agent up last sign of life, 4 min 3 s ago" in output
    assert "azure recovery no incidents no incidents reported in westeurope" in output


def test_check_starts_nothing(site: Coldsite) -> None:
    site.says("plans/contoso/check", checked("up", GOOD))
    site.run("check", "contoso")
    assert site.sent == []


def test_check_prints_json_for_programs(site: Coldsite) -> None:
    site.says("plans/contoso/check", checked("up", GOOD, BLIND))
    assert json.loads(site.run("check", "contoso", "--json")) == checked("up", GOOD, BLIND)


def test_what_a_check_was_told_is_printed_as_it_is(site: Coldsite) -> None:
    site.says("plans/contoso/check", checked("down", seen("public", "down", MARKUP)))
    assert MARKUP in site.run("check", "contoso")


# points


def point(name: str, minutes: int, consistency: str = "application") -> dict[str, Any]:
    taken = NOW - timedelta(minutes=minutes)
    point = {"id": name, "taken_at": taken, "data_until": taken - timedelta(minutes=4), "consistency": consistency}
    return PointView.model_validate(point).model_dump(mode="json")


def test_points_lists_ids_times_and_consistency(site: Coldsite) -> None:
    site.says("plans/contoso/points", {"points": [point("set-2", 5), point("set-1", 65, "crash")]})
    output = site.run("points", "contoso")
    assert "recovery point taken data from consistency" in output
    assert f"set-2 {spoken(5)} {spoken(9)} application" in output
    assert f"set-1 {spoken(65)} {spoken(69)} crash" in output
    assert output.index("set-2") < output.index("set-1")


def test_no_points_are_said_to_be_none(site: Coldsite) -> None:
    site.says("plans/contoso/points", {"points": []})
    assert site.run("points", "contoso").startswith("There is no recovery point yet.")


def test_points_prints_json_for_programs(site: Coldsite) -> None:
    site.says("plans/contoso/points", {"points": [point("set-1", 5)]})
    assert json.loads(site.run("points", "contoso", "--json")) == [point("set-1", 5)]


# failover


def forecasted(*blockers: str) -> dict[str, Any]:
    step = {"name": "create_machine", "target": "sql", "begins": 40.0, "ends": 100.0}
    return {
        "plan": "contoso",
        "kind": "failover",
        "at": "2027-01-15T20:00:00Z",
        "expected_seconds": 414.0,
        "steps": [step],
        "measured_seconds": 500.0,
        "data_until": None,
        "data_age": None,
        "does": ["Build sql (Standard_D4s_v5)."],
        "blockers": list(blockers),
        "warnings": [],
    }


STARTED = {"run_id": RUN, "phase": "recovering"}


@pytest.mark.parametrize(
    ("options", "changes", "question"),
    [
        ([], {}, "Azure's data reach at least {data_until}."),
        (["--planned"], {}, "The primary's writes are stopped first, and nothing is lost."),
        (["--primary-is-healthy"], {}, "The primary's changes until the cutover will be lost."),
        ([], {"unknown": True}, "The age of Azure's data is unknown."),
    ],
)
def test_the_question_before_a_failover_says_what_it_costs(
    site: Coldsite, options: list[str], changes: dict[str, Any], question: str
) -> None:
    found = plan()
    if changes:
        found["replica"]["data_until"] = None
    site.says("plans/contoso", found)
    site.says("plans/contoso/failover?what_if=true", forecasted())
    output = site.run("failover", "contoso", "--reason", "Fire", *options, answer="n\n", code=1)
    assert "customers are sent to Azure after 6 min 54 s" in output
    question = question.format(data_until=spoken(2))
    assert f"{question} Build Contoso web shop in Azure and cut over?" in output
    assert [path for path, _ in site.sent] == ["/api/plans/contoso/failover?what_if=true"]


def test_a_failover_sends_what_was_asked_for(site: Coldsite) -> None:
    site.says("plans/contoso", plan())
    site.says("plans/contoso/failover", STARTED, 202)
    site.run("failover", "contoso", "--reason", "Fire", "--recovery-point", "set-1", "--yes", "--json")
    ((path, body),) = site.sent
    assert path == "/api/plans/contoso/failover"
    assert (body["mode"], body["recovery_point"], body["acknowledge_primary_healthy"]) == ("unplanned", "set-1", False)


def test_a_refused_failover_shows_what_the_checks_saw(site: Coldsite) -> None:
    site.says("plans/contoso", plan())
    evidence = [GOOD.model_dump(mode="json"), REGION.model_dump(mode="json")]
    site.says("plans/contoso/failover", {"detail": "The primary site serves.", "evidence": evidence}, 409)
    output = site.run("failover", "contoso", "--reason", "Fire", "--yes", code=None)
    assert "public public up 203.0.113.10 answered 200" in output
    assert "The primary site serves." in output


# Answers to a run


@pytest.mark.parametrize(
    ("words", "printed"),
    [
        (["approve", RUN], f"Approved: {RUN}."),
        (["reject", RUN], f"Rejected: {RUN}."),
        (["proceed", RUN, "--yes"], f"Proceeding: {RUN}."),
        (["retry", RUN], f"Retrying: {RUN}."),
        (["abort", RUN, "--yes"], f"Aborting: {RUN}."),
    ],
)
def test_an_answer_is_sent_to_the_run_and_said_to_be(site: Coldsite, words: list[str], printed: str) -> None:
    site.says(f"runs/{RUN}", waiting("needs_operator", "Which?").model_dump(mode="json") | {"title": "x"})
    site.says(f"runs/{RUN}/{words[0]}", {}, 202)
    output = site.run(*words, answer="y\n")
    assert printed in output
    assert "`coldsite runs watch f-abcd` follows it." in output
    assert [path for path, _ in site.sent] == [f"/api/runs/{RUN}/{words[0]}"]


@pytest.mark.parametrize("word", ["abort", "reject"])
def test_an_end_says_when_coldsite_looks_again(site: Coldsite, word: str) -> None:
    site.says(f"runs/{RUN}", waiting("needs_operator").model_dump(mode="json"))
    site.says(f"runs/{RUN}/{word}", {}, 202)
    assert "checks the primary again after the plan's cooldown" in site.run(word, RUN, answer="y\n")


def test_the_end_of_a_drill_announces_no_check(site: Coldsite) -> None:
    site.says(f"runs/{RUN}", waiting("needs_operator").model_dump(mode="json") | {"kind": "drill"})
    site.says(f"runs/{RUN}/abort", {}, 202)
    assert "cooldown" not in site.run("abort", RUN, answer="y\n")


def test_proceed_shows_the_question_and_sends_nothing_without_a_yes(site: Coldsite) -> None:
    question = f"The primary site serves again. {MARKUP}"
    site.says(f"runs/{RUN}", waiting("needs_operator", question).model_dump(mode="json"))
    output = site.run("proceed", RUN, answer="n\n", code=1)
    assert question in output
    assert "Proceed all the same?" in output
    assert site.sent == []


# plan show


def shown(**replica: Any) -> dict[str, Any]:
    detail = contoso().model_dump(mode="json", exclude=TEXTS_OF_FILES)
    found = plan() | {"plan": detail, "events": [{"at": NOW.isoformat(), "text": MARKUP}], "hash": "0"}
    found["replica"] |= replica
    return found


def test_a_plan_is_shown_with_its_objectives_and_how_replication_is(site: Coldsite) -> None:
    site.says("plans/contoso", shown())
    output = site.run("plan", "show", "contoso")
    assert "Objectives: recovery time 30 min, data loss 15 min." in output
    assert f"Replication: good; data until {spoken(2)} (checked {spoken()})." in output
    assert MARKUP in output


@pytest.mark.parametrize(
    ("replica", "line"),
    [
        ({"looked_at": None}, "Replication: not checked yet."),
        ({"data_until": None}, "Replication: good; age of the data unknown"),
        ({"problem": "the source is not connected."}, "Replication: the source is not connected; data until"),
    ],
)
def test_what_is_not_known_of_a_replica_is_said(site: Coldsite, replica: dict[str, Any], line: str) -> None:
    site.says("plans/contoso", shown(**replica))
    assert line in site.run("plan", "show", "contoso")


# which Coldsite


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://<your app>", "https://<your app> is not a URL. `azd env get-value COLDSITE_URL` prints yours."),
        ("http://coldsite.example", "http://coldsite.example is not https"),
        ("https://127.0.0.1:9", "Coldsite at https://127.0.0.1:9 does not answer"),
    ],
)
def test_an_address_that_cannot_be_right_is_one_sentence(url: str, words: str) -> None:
    with pytest.raises(ApiError, match=re.escape(words)):
        Api(find_target(url, "key")).get("plans")


# forecast, --what-if


def test_the_forecast_says_how_long_and_how_old(site: Coldsite) -> None:
    site.says("plans/contoso/forecast", forecasted())
    printed = site.run("forecast", "contoso")
    assert "customers are sent to Azure after 6 min 54 s. The last drill took 8 min 20 s." in printed
    assert "create the machine sql" in printed
    assert "Azure's data are of unknown age." in printed


def test_what_if_starts_nothing_and_ends_with_status_1_when_blocked(site: Coldsite) -> None:
    site.says("plans/contoso/failover?what_if=true", forecasted("Run x holds the plan."))
    printed = site.run("failover", "contoso", "--reason", "r", "--what-if", code=1)
    assert "Blocked: Run x holds the plan." in printed
    assert [path for path, _ in site.sent] == ["/api/plans/contoso/failover?what_if=true"]


def test_a_note_is_sent_to_the_run(site: Coldsite) -> None:
    site.says(f"runs/{RUN}/note", {}, 202)
    assert f"Noted: {RUN}." in site.run("note", RUN, "--reason", "the insurer was called")
    assert site.sent == [(f"/api/runs/{RUN}/note", {"reason": "the insurer was called"})]


# Which run is meant, and what the exit status says


def listed(*runs: tuple[str, str | None]) -> dict[str, Any]:
    return {"runs": [{"run_id": run_id, "outcome": outcome} for run_id, outcome in runs]}


OTHER = "contoso-d20270114203000000-0123"


@pytest.mark.parametrize(
    ("words", "runs", "says"),
    [
        (("f-abcd",), ((RUN, "succeeded"), (OTHER, None)), ""),
        (("abcd",), ((RUN, "succeeded"), (OTHER, None)), ""),
        ((), ((RUN, None), (OTHER, "succeeded")), ""),
        ((), ((RUN, None), (OTHER, None)), "More than one run fits: f-abcd, d-0123."),
        ((), ((OTHER, "succeeded"),), "No run is in progress."),
        (("f-9999",), ((RUN, None),), "No recent run is called 'f-9999'."),
    ],
)
def test_a_run_goes_by_its_short_id_or_by_being_the_only_one(
    site: Coldsite, words: tuple[str, ...], runs: tuple[tuple[str, str | None], ...], says: str
) -> None:
    site.says("runs?limit=50", listed(*runs))
    site.says(f"runs/{RUN}/acknowledge", {}, status=202)
    if says:
        assert says in site.run("acknowledge", *words, code=None)
    else:
        site.run("acknowledge", *words)
        assert site.sent == [(f"/api/runs/{RUN}/acknowledge", {"reason": ""})]


@pytest.mark.parametrize(
    ("outcome", "question", "code"),
    [("succeeded", None, 0), ("observed", None, 0), ("aborted", None, 4), ("failed", None, 4), (None, "Which?", 3)],
)
def test_the_exit_status_says_how_a_run_stands(
    site: Coldsite, outcome: str | None, question: str | None, code: int
) -> None:
    found = {
        "run_id": RUN,
        "kind": "drill",
        "phase": "completed" if outcome else "needs_operator",
        "outcome": outcome,
        "waiting_for": question,
        "waiting_until": None,
        "answers": ["retry"],
        "trigger": "operator",
        "reason": "A drill",
        "verdict": None,
        "steps": [],
        "started_at": NOW.isoformat(),
        "ended_at": None,
    }
    site.says(f"runs/{RUN}", found)
    site.run("runs", "watch", RUN, code=code)


def test_a_drill_that_is_not_waited_for_is_only_started(site: Coldsite) -> None:
    site.says("plans/contoso/drill", STARTED, status=202)
    assert f"Started: {RUN}." in site.run("drill", "contoso", "--yes", "--no-wait")


def test_a_narrow_terminal_shows_short_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    run = {
        "run_id": RUN,
        "kind": "failover",
        "outcome": "succeeded",
        "phase": "completed",
        "trigger": "operator",
        "started_at": "2027-01-15T20:30:00+00:00",
        "recovery_time_actual": 514.0,
    }
    monkeypatch.setattr(show, "console", lambda stderr=False: Console(width=60, file=io.StringIO()))
    narrow = show.console()
    narrow.print(show.runs_table([run]))
    printed = narrow.file.getvalue()  # type: ignore[attr-defined]
    assert "f-abcd" in printed
    assert max(len(line) for line in printed.splitlines()) <= 60
    assert len(printed.strip().splitlines()) == 2, "one line a run"
