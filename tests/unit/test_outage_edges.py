"""The decision at its edges: Azure's own health, a public path that serves, silence, and gaps in the evidence."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.evidence import Round, State
from shared.policy.outage import Doubt, decide, doubt, lived_again, operator_verdict, primary_serves, round_view
from tests.unit.rounds import (
    BLIND,
    DETECTION,
    MIXED,
    NOT_KNOWN_WHETHER_BLIND,
    OUTAGE,
    PRIVATE_UP,
    PUBLIC_SERVES,
    SIGNALS,
    SILENT,
    SILENT_AZURE,
    SILENT_VPN,
    START,
    TROUBLE,
    UP,
    States,
    evidence,
    follow,
    rounds_of,
)

IN_TROUBLE: States = {"azure": "down"}
PATIENCE = timedelta(seconds=40)
"""Contoso checks every 10 s, its slowest signal takes 10 s, and one round may be missed."""


# Azure's own health


@pytest.mark.parametrize(
    ("spans", "decision", "reason", "after"),
    [
        pytest.param([(TROUBLE, 200)], "ask", "recovery_in_trouble", 90, id="trouble"),
        pytest.param([(OUTAGE, 60), (TROUBLE, 200)], "ask", "recovery_in_trouble", 90, id="trouble that comes late"),
        pytest.param([(TROUBLE, 80), (OUTAGE, 200)], "confirmed", "confirmed", 90, id="trouble that has passed"),
        pytest.param([(SILENT_AZURE, 200)], "confirmed", "confirmed", 90, id="no word from Azure"),
        pytest.param([(IN_TROUBLE, 200)], "stand_down", "healthy", 90, id="trouble while the primary serves"),
        pytest.param([(PRIVATE_UP | IN_TROUBLE, 200)], "ask", "partial_outage", 90, id="a veto is said first"),
        pytest.param(
            [(SILENT | IN_TROUBLE, 700)], "ask", "never_agreed", 600, id="trouble is no evidence of an outage"
        ),
        pytest.param(
            [(TROUBLE | {"observer": "down"}, 700)], "stand_down", "observer_cut_off", 600, id="observer cut off"
        ),
    ],
)
def test_trouble_where_one_would_go_is_for_a_person_to_judge(
    spans: list[tuple[States, float]], decision: str, reason: str, after: float
) -> None:
    verdict, seconds = follow(rounds_of(*spans))
    assert (verdict.decision, verdict.reason, seconds) == (decision, reason, after)


@pytest.mark.parametrize(("silence_is_down", "decision"), [(frozenset(), "confirmed"), (frozenset({"azure"}), "ask")])
def test_a_silent_azure_counts_as_the_plan_declares(silence_is_down: frozenset[str], decision: str) -> None:
    verdict, _ = follow(rounds_of((SILENT_AZURE, 200), silence_is_down=silence_is_down))
    assert verdict.decision == decision


def test_the_sentence_says_that_the_trouble_is_in_the_recovery_region() -> None:
    sentence = follow(rounds_of((TROUBLE, 200)))[0].sentence()
    assert sentence.startswith(
        "3 of 4 checks say unreachable, but Azure reports an incident in the recovery region, so a person must decide. "
    )
    assert "azure: trouble (as seen)" in sentence


@pytest.mark.parametrize(
    ("state", "word"), [("up", "azure: no trouble ("), ("down", "azure: trouble ("), ("no_data", "azure: no data (")]
)
def test_the_sentence_speaks_of_azure_in_words_of_its_own(state: State, word: str) -> None:
    """A region is never "unreachable", and a site never "in trouble"."""
    verdict = operator_verdict(evidence(OUTAGE | {"azure": state}), DETECTION, START)
    assert word in verdict.sentence()


def test_trouble_is_named_and_belongs_to_no_path() -> None:
    seen = round_view(evidence(TROUBLE), quorum=2)
    assert (seen.trouble, seen.says, seen.down_paths) == (["azure"], "down", ["private", "public"])
    calm = round_view(evidence(IN_TROUBLE), quorum=1)
    assert (calm.trouble, calm.says, calm.down_paths) == (["azure"], "up", [])


def test_trouble_in_azure_does_not_show_whether_the_primary_serves() -> None:
    assert primary_serves(evidence(IN_TROUBLE))
    assert not primary_serves([e for e in evidence(UP) if e.role != "evidence"])


def test_an_outage_does_not_begin_with_trouble_in_azure() -> None:
    """From its beginning the recovery time is measured."""
    verdict, _ = follow(rounds_of((IN_TROUBLE, 60), (OUTAGE, 200)))
    assert verdict.first_down_at == START + timedelta(seconds=60)
    assert follow(rounds_of((IN_TROUBLE, 200)))[0].first_down_at is None


# While the public path is up, customers are served


@pytest.mark.parametrize(
    "states",
    [
        PUBLIC_SERVES,
        PUBLIC_SERVES | {"traffic": "no_data"},
        PUBLIC_SERVES | {"public": "no_data"},
        PUBLIC_SERVES | IN_TROUBLE,
    ],
)
def test_customers_who_are_served_are_not_moved_however_many_other_paths_are_down(states: States) -> None:
    verdict, seconds = follow(rounds_of((states, 700)))
    assert (verdict.decision, verdict.reason, seconds) == ("ask", "never_agreed", 600)


@given(
    st.fixed_dictionaries({signal: st.sampled_from(get_args(State)) for signal in SIGNALS}),
    st.integers(1, 3),
    st.frozensets(st.sampled_from(sorted(SIGNALS))),
)
def test_a_round_whose_public_path_is_up_never_says_down(
    states: States, quorum: int, silence_is_down: frozenset[str]
) -> None:
    seen = round_view(evidence(states, silence_is_down), quorum)
    assert not (seen.says == "down" and "public" in seen.up_paths)
    assert not set(seen.up_paths) & set(seen.down_paths)


# Silence


@pytest.mark.parametrize(
    ("silent", "says", "down"),
    [
        ("public", "down", ["private", "public"]),
        ("traffic", "down", ["private", "public"]),
        ("vpn", "down", ["private", "public"]),
        ("heartbeat", "down", ["agent", "private", "public"]),
        ("azure", "down", ["private", "public"]),
        ("observer", "blind", ["private", "public"]),
    ],
)
def test_a_signal_without_data_is_down_where_the_plan_says_so(silent: str, says: str, down: list[str]) -> None:
    states: States = {"public": "down", "traffic": "down", "vpn": "down", "heartbeat": "no_data", silent: "no_data"}
    seen = round_view(evidence(states, frozenset({silent})), quorum=2)
    assert (seen.says, seen.down_paths) == (says, down)


@pytest.mark.parametrize("silence_is_down", [frozenset(), frozenset({"observer"})])
def test_an_observer_that_does_not_know_whether_it_sees_concludes_nothing(silence_is_down: frozenset[str]) -> None:
    """Whatever the plan declares: only a control signal that is up shows that the observer sees."""
    rounds = rounds_of((OUTAGE | {"observer": "no_data"}, 700), silence_is_down=silence_is_down)
    verdict, seconds = follow(rounds)
    assert (verdict.decision, verdict.reason, seconds) == ("stand_down", "observer_cut_off", 600)


def test_a_private_path_without_data_is_no_veto() -> None:
    assert round_view(evidence(SILENT_VPN), quorum=1).veto == []
    assert round_view(evidence(SILENT_VPN, frozenset({"vpn"})), quorum=2).veto == []


# Flapping


@pytest.mark.parametrize(("down", "up"), [(60, 30), (80, 10), (20, 20), (10, 80)])
def test_a_primary_that_flaps_is_neither_confirmed_nor_ignored(down: float, up: float) -> None:
    rounds = rounds_of(*([(OUTAGE, down), (UP, up)] * 60))
    verdict, seconds = follow(rounds)
    assert (verdict.decision, verdict.reason, seconds) == ("ask", "never_agreed", 600)
    assert verdict.first_down_at == START
    assert verdict.sentence().startswith("The checks did not agree within 10 min, so a person must decide: now ")


# Gaps in the evidence


def looked(*seconds: float, states: States = OUTAGE) -> list[Round]:
    return [Round(at=START + timedelta(seconds=s), evidence=evidence(states)) for s in seconds]


@pytest.mark.parametrize(
    ("gap", "agreed"),
    [
        (timedelta(seconds=10), 50.0 + 10),
        (PATIENCE, 50.0 + 40),
        (PATIENCE + timedelta(seconds=1), 0.0),
        (timedelta(minutes=5), 0.0),
    ],
)
def test_a_gap_in_which_no_check_ran_starts_the_count_again(gap: timedelta, agreed: float) -> None:
    rounds = looked(0, 10, 20, 30, 40, 50, 50 + gap.total_seconds())
    assert decide(rounds, DETECTION, rounds[-1].at).agreed_for == agreed


def test_an_agreement_that_no_check_has_confirmed_for_a_while_is_none() -> None:
    """The app was unavailable after the last check: that check says nothing about the present."""
    rounds = looked(*range(0, 90, 10))
    late = decide(rounds, DETECTION, rounds[-1].at + PATIENCE + timedelta(seconds=1))
    assert (late.decision, late.agreed_for) == ("keep_looking", 0.0)
    assert decide(rounds, DETECTION, rounds[-1].at + timedelta(seconds=10)).decision == "confirmed"


def test_a_health_that_no_check_has_confirmed_for_a_while_does_not_end_a_run() -> None:
    rounds = looked(0, 10, 400, states=UP)
    assert decide(rounds, DETECTION, rounds[-1].at).decision == "keep_looking"


def test_a_time_without_checks_is_no_disagreement() -> None:
    """The app was unavailable for longer than ``confirm_deadline``; it checks for as long as it must, and asks no
    question.
    """
    rounds = looked(0, 10, 20, *range(900, 1000, 10))
    back = next(n for n, r in enumerate(rounds) if r.at >= START + timedelta(seconds=900))
    decisions = [decide(rounds[:n], DETECTION, rounds[n - 1].at).decision for n in range(back + 1, len(rounds) + 1)]
    assert decisions == ["keep_looking"] * 9 + ["confirmed"]


def test_disagreement_before_and_after_a_gap_adds_up_to_the_deadline() -> None:
    flapping = [s for start in (0, 900) for s in range(start, start + 310, 10)]
    rounds = [
        Round(at=START + timedelta(seconds=s), evidence=evidence(OUTAGE if s // 40 % 2 else MIXED)) for s in flapping
    ]
    assert decide(rounds, DETECTION, rounds[-1].at).reason == "never_agreed"


def test_slower_signals_allow_for_longer_gaps() -> None:
    heartbeat = DETECTION.signals["heartbeat"]
    assert heartbeat.logs is not None
    slow = heartbeat.model_copy(update={"logs": heartbeat.logs.model_copy(update={"timeout": timedelta(seconds=30)})})
    patient = DETECTION.model_copy(update={"signals": DETECTION.signals | {"heartbeat": slow}})
    rounds = looked(0, 80, 160)
    assert decide(rounds, patient, rounds[-1].at).decision == "confirmed"
    assert decide(rounds, DETECTION, rounds[-1].at).decision == "keep_looking"


# Reasons against the cutover, just before it


@pytest.mark.parametrize(
    ("seen", "known", "against"),
    [
        (OUTAGE, OUTAGE, None),
        (UP, OUTAGE, "serves"),
        (PUBLIC_SERVES, OUTAGE, "serves"),
        (UP | {"observer": "down"}, OUTAGE, "serves"),
        (BLIND, OUTAGE, "blind"),
        (NOT_KNOWN_WHETHER_BLIND, OUTAGE, "blind"),
        (BLIND, BLIND, None),
        (PRIVATE_UP, OUTAGE, "partial"),
        (PRIVATE_UP, PRIVATE_UP, None),
        (PRIVATE_UP | {"observer": "down"}, PRIVATE_UP, "blind"),
        (SILENT_VPN, OUTAGE, "unclear"),
        (MIXED, OUTAGE, "unclear"),
        (MIXED, SILENT_VPN, None),
        (TROUBLE, OUTAGE, None),
    ],
)
def test_only_what_was_not_known_speaks_against_moving_the_customers(
    seen: States, known: States, against: Doubt | None
) -> None:
    assert doubt(evidence(seen), evidence(known), DETECTION.quorum) == against


def test_where_nothing_was_known_what_is_seen_speaks_for_itself() -> None:
    assert doubt(evidence(PRIVATE_UP), [], DETECTION.quorum) == "partial"
    assert doubt(evidence(OUTAGE), [], DETECTION.quorum) is None


LATER = START + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("age", "lived"),
    [(60.0, LATER - timedelta(seconds=60)), (599.0, START + timedelta(seconds=1)), (600.0, None), (0.0, None)],
)
def test_a_sign_of_life_from_after_the_decision_says_until_when_the_primary_lived(
    age: float, lived: datetime | None
) -> None:
    known = rounds_of((OUTAGE, 10))[0]
    seen = [e.model_copy(update={"age": age if e.signal == "heartbeat" else 0.0}) for e in evidence(OUTAGE)]
    assert lived_again(seen, LATER, known) == lived


def test_a_primary_that_was_known_to_be_alive_in_part_did_not_come_back() -> None:
    known = rounds_of((PRIVATE_UP, 10))[0]
    assert lived_again(evidence(OUTAGE, age=60.0), LATER, known) is None


# Direct probes count before reports


@pytest.mark.parametrize(
    ("page", "traffic", "serves"),
    [
        ("up", "down", True),
        ("up", "no_data", True),
        ("down", "up", False),
        ("no_data", "up", True),
        ("down", "down", False),
    ],
)
def test_a_primary_that_we_see_serve_serves_however_slow_traffic_manager_is_to_notice(
    page: State, traffic: State, serves: bool
) -> None:
    seen = [
        check.model_copy(update={"direct": check.signal not in ("traffic", "heartbeat")})
        for check in evidence(OUTAGE | {"public": page, "traffic": traffic})
    ]
    assert primary_serves(seen) is serves
    if serves:
        assert round_view(seen, quorum=1).says != "down"
