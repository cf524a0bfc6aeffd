"""What the table of transitions promises, walked at random and by reach."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.names import Kind
from shared.runs import FIRST_PHASE, FORWARD, TRANSITIONS, Phase, may_follow

KINDS: list[Kind] = ["failover", "drill", "failback"]
CHOICES = st.lists(st.integers(min_value=0, max_value=len(Phase)), max_size=60)


def reach(start: Phase, without: frozenset[Phase] = frozenset()) -> set[Phase]:
    """Every phase that a run in ``start`` can come to, never passing through ``without``."""
    seen: set[Phase] = set()
    open_phases = [start]
    while open_phases:
        for after in TRANSITIONS[open_phases.pop()] - without - seen:
            seen.add(after)
            open_phases.append(after)
    return seen


def walk(start: Phase, choices: list[int]) -> list[Phase]:
    """One possible life of a run, as long as there are choices and somewhere to go."""
    phases = [start]
    for choice in choices:
        following = sorted(TRANSITIONS[phases[-1]])
        if not following:
            break
        phases.append(following[choice % len(following)])
    return phases


@given(st.sampled_from(KINDS), CHOICES)
def test_a_run_can_end_wherever_its_life_has_brought_it(kind: Kind, choices: list[int]) -> None:
    here = walk(FIRST_PHASE[kind], choices)[-1]
    assert here == Phase.COMPLETED or Phase.COMPLETED in reach(here)


@given(st.sampled_from(KINDS), CHOICES)
def test_customers_never_move_before_the_site_was_verified(kind: Kind, choices: list[int]) -> None:
    phases = walk(FIRST_PHASE[kind], choices)
    if Phase.CUTTING_OVER in phases:
        before = phases[: phases.index(Phase.CUTTING_OVER)]
        assert Phase.VERIFYING in before or Phase.NEEDS_OPERATOR in before


@given(st.sampled_from(KINDS), CHOICES)
def test_a_run_that_clears_away_does_nothing_else_but_end(kind: Kind, choices: list[int]) -> None:
    phases = walk(FIRST_PHASE[kind], choices)
    if Phase.CLEANING_UP in phases:
        assert set(phases[phases.index(Phase.CLEANING_UP) + 1 :]) <= {Phase.COMPLETED}


@given(st.sampled_from(KINDS), CHOICES)
def test_the_decision_is_never_taken_again(kind: Kind, choices: list[int]) -> None:
    phases = walk(FIRST_PHASE[kind], choices)
    assert phases.count(Phase.CONFIRMING) <= 1
    assert phases.count(Phase.WAITING_FOR_APPROVAL) <= 1


def test_every_phase_has_its_row_in_the_table() -> None:
    assert set(TRANSITIONS) == set(Phase)


def test_a_failover_can_come_to_every_phase() -> None:
    assert reach(FIRST_PHASE["failover"]) == set(Phase) - {Phase.CONFIRMING}


def test_an_ended_run_stays_ended() -> None:
    assert reach(Phase.COMPLETED) == set()


def test_only_verified_or_ordered_by_a_person_do_customers_move() -> None:
    assert {p for p in Phase if Phase.CUTTING_OVER in TRANSITIONS[p]} == {Phase.VERIFYING, Phase.NEEDS_OPERATOR}


def test_a_person_is_only_needed_beside_the_three_phases_that_build_and_move() -> None:
    asking = {p for p in Phase if Phase.NEEDS_OPERATOR in TRANSITIONS[p]}
    assert asking == {Phase.RECOVERING, Phase.VERIFYING, Phase.CUTTING_OVER}


def test_a_run_that_needs_a_person_is_not_over() -> None:
    assert Phase.COMPLETED not in TRANSITIONS[Phase.NEEDS_OPERATOR]


def test_the_cutover_itself_never_turns_to_clearing_away() -> None:
    assert Phase.CLEANING_UP not in reach(Phase.CUTTING_OVER, without=frozenset({Phase.NEEDS_OPERATOR}))


@pytest.mark.parametrize("before", sorted(FORWARD))
def test_once_the_cutover_has_begun_there_is_only_forward(before: Phase) -> None:
    backwards = set(Phase) - FORWARD
    assert not [after for after in backwards if may_follow(before, after, cutover_began=True)]
    assert may_follow(Phase.NEEDS_OPERATOR, Phase.CUTTING_OVER, cutover_began=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_could_not_be_started_can_be_completed(kind: Kind) -> None:
    assert may_follow(FIRST_PHASE[kind], Phase.COMPLETED)


@pytest.mark.parametrize("before", list(Phase))
@pytest.mark.parametrize("after", list(Phase))
def test_a_write_may_be_repeated_and_otherwise_follows_the_table(before: Phase, after: Phase) -> None:
    assert may_follow(before, after) == (before is after or after in TRANSITIONS[before])
