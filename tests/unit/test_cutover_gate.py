"""The decision just before customers move: what lets it go, what asks a person, what confirms again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest

from shared.models.evidence import Round
from shared.policy.cutover_gate import Ask, Concern, ConfirmAgain, Go, LastLook, cutover_gate
from shared.policy.maintenance import Maintenance
from shared.policy.outage import Doubt
from tests.unit.rounds import BLIND, MIXED, OUTAGE, PRIVATE_UP, PUBLIC_SERVES, START, UP, States, evidence

LATER = START + timedelta(minutes=15)
PAUSED = Maintenance(until=LATER + timedelta(hours=1), because="Automatic failover is paused until 21:15 UTC: a move.")
TOO_OLD = "Data are from 3 h before the outage."


def look(seen: States, known: States = OUTAGE, *, age: float = 0.0) -> LastLook:
    return LastLook(
        seen=Round(at=LATER, evidence=evidence(seen, age=age)),
        known=Round(at=START, evidence=evidence(known)),
        quorum=2,
        by_a_person=False,
        accepted=frozenset(),
        maintenance=None,
        loss=None,
        data_from=START,
    )


def accepting(seen: LastLook, *concerns: Concern) -> LastLook:
    return replace(seen, accepted=frozenset(concerns))


def test_what_is_as_it_was_at_the_decision_goes() -> None:
    assert cutover_gate(look(OUTAGE)) == Go()


def test_a_primary_that_serves_again_is_a_question_that_says_what_would_be_lost() -> None:
    gate = cutover_gate(look(UP))
    assert isinstance(gate, Ask)
    assert gate.about == "serves"
    assert "is serving traffic again" in gate.text
    assert "since 2027-01-15 20:00 UTC would be lost" in gate.text


def test_a_primary_that_always_served_does_not_serve_again() -> None:
    gate = cutover_gate(look(PUBLIC_SERVES, known=PUBLIC_SERVES))
    assert isinstance(gate, Ask)
    assert "again" not in gate.text


@pytest.mark.parametrize(("seen", "about"), [(BLIND, "blind"), (PRIVATE_UP, "partial")])
def test_what_cannot_be_seen_and_half_an_outage_need_a_person(seen: States, about: Doubt) -> None:
    gate = cutover_gate(look(seen))
    assert isinstance(gate, Ask)
    assert gate.about == about


def test_checks_that_no_longer_agree_are_confirmed_again() -> None:
    assert cutover_gate(look(MIXED)) == ConfirmAgain("unclear")


def test_a_sign_of_life_after_the_decision_is_confirmed_again() -> None:
    assert cutover_gate(look(OUTAGE, age=60)) == ConfirmAgain("unclear")


def test_a_run_that_a_person_started_needs_no_agreement() -> None:
    assert cutover_gate(replace(look(MIXED), by_a_person=True)) == Go()


@pytest.mark.parametrize("seen", [UP, BLIND, PRIVATE_UP, MIXED])
def test_whoever_left_a_primary_that_serves_has_accepted_everything_less(seen: States) -> None:
    assert cutover_gate(accepting(look(seen), "serves")) == Go()


@pytest.mark.parametrize("accepted", [concern for concern in get_args(Doubt) if concern not in ("serves", "blind")])
def test_approval_of_one_concern_does_not_cover_another(accepted: Concern) -> None:
    gate = cutover_gate(accepting(look(BLIND), accepted))
    assert isinstance(gate, Ask)
    assert gate.about == "blind"


def test_maintenance_is_asked_about_until_it_ends_or_is_accepted() -> None:
    paused = replace(look(OUTAGE), maintenance=PAUSED)
    assert cutover_gate(paused) == Ask("maintenance", PAUSED.because, PAUSED.until)
    assert cutover_gate(accepting(paused, "maintenance")) == Go()


def test_data_that_are_too_old_are_asked_about_last() -> None:
    old = replace(look(OUTAGE), loss=TOO_OLD, maintenance=PAUSED)
    assert cutover_gate(old) == Ask("maintenance", PAUSED.because, PAUSED.until)
    assert cutover_gate(accepting(old, "maintenance")) == Ask("loss", TOO_OLD)
    assert cutover_gate(accepting(old, "maintenance", "loss")) == Go()
