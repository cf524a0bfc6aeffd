"""The guarantees of the table of transitions, by random walk and by reachability; ended runs."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.ids import Kind
from shared.models.runs import (
    FIRST_PHASE,
    FORWARD,
    TRANSITIONS,
    CutoverState,
    Hindsight,
    Outcome,
    Phase,
    RecoveryRun,
    may_follow,
)

KINDS: list[Kind] = ["failover", "drill", "failback"]
CHOICES = st.lists(st.integers(min_value=0, max_value=len(Phase)), max_size=60)


def reach(kind: Kind, start: Phase, without: frozenset[Phase] = frozenset()) -> set[Phase]:
    """Every phase that a run in ``start`` can reach without passing through ``without``."""
    seen: set[Phase] = set()
    open_phases = [start]
    while open_phases:
        for after in TRANSITIONS[kind][open_phases.pop()] - without - seen:
            seen.add(after)
            open_phases.append(after)
    return seen


def walk(kind: Kind, choices: list[int]) -> list[Phase]:
    """One possible life of a run, until no transition is left."""
    phases = [FIRST_PHASE[kind]]
    for choice in choices:
        following = sorted(TRANSITIONS[kind][phases[-1]])
        if not following:
            break
        phases.append(following[choice % len(following)])
    return phases


@given(st.sampled_from(KINDS), CHOICES)
def test_a_run_can_end_wherever_its_life_has_brought_it(kind: Kind, choices: list[int]) -> None:
    here = walk(kind, choices)[-1]
    assert here == Phase.COMPLETED or Phase.COMPLETED in reach(kind, here)


@given(st.sampled_from(KINDS), CHOICES)
def test_customers_never_move_before_the_site_was_verified(kind: Kind, choices: list[int]) -> None:
    phases = walk(kind, choices)
    if Phase.CUTTING_OVER in phases:
        before = phases[: phases.index(Phase.CUTTING_OVER)]
        assert Phase.VERIFYING in before or Phase.NEEDS_OPERATOR in before


@given(st.sampled_from(KINDS), CHOICES)
def test_a_run_that_clears_away_does_nothing_else_but_end(kind: Kind, choices: list[int]) -> None:
    phases = walk(kind, choices)
    if Phase.CLEANING_UP in phases:
        assert set(phases[phases.index(Phase.CLEANING_UP) + 1 :]) <= {Phase.COMPLETED}


@given(st.sampled_from(KINDS), CHOICES)
def test_the_decision_is_never_taken_again(kind: Kind, choices: list[int]) -> None:
    phases = walk(kind, choices)
    assert phases.count(Phase.CONFIRMING) <= 1


@given(st.sampled_from(KINDS), CHOICES)
def test_approval_comes_after_the_decision_or_while_recovering(kind: Kind, choices: list[int]) -> None:
    """Data older than the loss limit lead to a separate question, after the decision's."""
    phases = walk(kind, choices)
    for before, after in pairwise(phases):
        if after is Phase.WAITING_FOR_APPROVAL:
            assert before in {Phase.CONFIRMING, Phase.RECOVERING, Phase.READY}


def test_every_phase_has_its_row_in_the_table() -> None:
    assert {phase for table in TRANSITIONS.values() for phase in table} == set(Phase)


@pytest.mark.parametrize("kind", ["failover", "failback"])
def test_a_run_can_come_to_every_phase_of_its_table(kind: Kind) -> None:
    assert reach(kind, FIRST_PHASE[kind]) | {FIRST_PHASE[kind]} == set(TRANSITIONS[kind])


def test_an_ended_run_stays_ended() -> None:
    assert all(reach(kind, Phase.COMPLETED) == set() for kind in KINDS)


def test_only_verified_or_ordered_by_a_person_do_customers_move() -> None:
    away, home = TRANSITIONS["failover"], TRANSITIONS["failback"]
    assert {p for p in away if Phase.CUTTING_OVER in away[p]} == {Phase.VERIFYING, Phase.NEEDS_OPERATOR}
    assert {p for p in home if Phase.CUTTING_BACK in home[p]} == {Phase.PROVING_HOME, Phase.NEEDS_OPERATOR}


def test_a_person_is_only_needed_beside_the_three_phases_that_build_and_move() -> None:
    table = TRANSITIONS["failover"]
    asking = {p for p in table if Phase.NEEDS_OPERATOR in table[p]}
    assert asking == {Phase.RECOVERING, Phase.VERIFYING, Phase.CUTTING_OVER}


def test_a_run_that_needs_a_person_is_not_over() -> None:
    assert all(Phase.COMPLETED not in TRANSITIONS[kind][Phase.NEEDS_OPERATOR] for kind in KINDS)


def test_the_cutover_itself_never_turns_to_clearing_away() -> None:
    asked_or_stepped_back = frozenset({Phase.NEEDS_OPERATOR, Phase.VERIFYING, Phase.PROVING_HOME})
    assert Phase.CLEANING_UP not in reach("failover", Phase.CUTTING_OVER, without=asked_or_stepped_back)
    assert Phase.CLEANING_UP not in reach("failback", Phase.CUTTING_BACK, without=asked_or_stepped_back)


def test_writes_are_stopped_only_once_home_was_ready() -> None:
    assert Phase.STOPPING_WRITES not in reach("failback", Phase.CHECKING_HOME, without=frozenset({Phase.READY}))


def test_a_cutover_steps_back_only_where_the_same_change_says_that_no_customer_was_moved() -> None:
    run = ended("failover", None).model_copy(update={"phase": Phase.CUTTING_OVER, "cutover": CutoverState.BEGUN})
    assert run.takes({"phase": "verifying"}) == {}
    back = {"phase": "verifying", "cutover": "stepped_back"}
    assert run.takes(back) == back
    assert run.takes({"phase": "cleaning_up", "cutover": "stepped_back"}) == {"cutover": "stepped_back"}


@pytest.mark.parametrize("before", sorted(FORWARD))
@pytest.mark.parametrize("kind", KINDS)
def test_once_the_cutover_has_begun_there_is_only_forward(kind: Kind, before: Phase) -> None:
    backwards = set(Phase) - FORWARD
    assert not [after for after in backwards if may_follow(kind, before, after, cutover=CutoverState.BEGUN)]
    again = Phase.CUTTING_BACK if kind == "failback" else Phase.CUTTING_OVER
    assert may_follow(kind, Phase.NEEDS_OPERATOR, again, cutover=CutoverState.BEGUN)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_could_not_be_started_can_be_completed(kind: Kind) -> None:
    assert may_follow(kind, FIRST_PHASE[kind], Phase.COMPLETED)


@pytest.mark.parametrize("before", list(Phase))
@pytest.mark.parametrize("after", list(Phase))
@pytest.mark.parametrize("kind", KINDS)
def test_a_write_may_be_repeated_and_otherwise_follows_the_table(kind: Kind, before: Phase, after: Phase) -> None:
    assert may_follow(kind, before, after) == (before is after or after in TRANSITIONS[kind].get(before, ()))


# Abort or cutover: the row decides which came first


def test_a_cutover_does_not_begin_after_an_abort_was_asked_for() -> None:
    run = ended("failover", None).model_copy(update={"phase": Phase.VERIFYING, "abort_asked_by": "Ada"})
    assert run.takes({"phase": "cutting_over", "holds": 1}) == {"holds": 1}
    assert run.takes({"phase": "cleaning_up"}) == {"phase": "cleaning_up"}


def test_an_abort_is_not_asked_for_once_the_cutover_has_begun_or_the_run_has_ended() -> None:
    verifying = ended("failover", None).model_copy(update={"phase": Phase.VERIFYING})
    began = verifying.takes({"phase": "cutting_over"})
    assert began == {"phase": "cutting_over", "cutover": "begun"}
    assert verifying.takes({"abort_asked_by": "Ada"}) == {"abort_asked_by": "Ada"}
    for late in (verifying.model_copy(update=began), ended("failover", Outcome.STOOD_DOWN)):
        assert late.takes({"abort_asked_by": "Ada"}) == {}


def test_a_cutover_that_waited_for_a_person_goes_on() -> None:
    held = ended("failover", None, cutover=CutoverState.BEGUN).model_copy(update={"phase": Phase.NEEDS_OPERATOR})
    assert held.takes({"phase": "cutting_over"}) == {"phase": "cutting_over"}


@pytest.mark.parametrize("phase", list(Phase))
def test_the_end_of_a_run_is_taken_wherever_it_stands_and_an_outcome_stays(phase: Phase) -> None:
    end = {"phase": Phase.COMPLETED, "outcome": "failed", "ended_at": datetime(2027, 1, 15, 21, tzinfo=UTC)}
    assert ended("drill", None).model_copy(update={"phase": phase}).takes(end, forced=True) == end
    assert ended("drill", Outcome.SUCCEEDED).takes(end, forced=True) == {}


# Leftovers of an ended run, and whether observing was right


def ended(kind: Kind, outcome: Outcome | None, *, cutover: CutoverState = CutoverState.NOT_STARTED) -> RecoveryRun:
    return RecoveryRun(
        run_id="contoso-f20270115203000000-abcd",
        plan="contoso",
        plan_hash="0",
        kind=kind,
        mode="automatic",
        trigger="watch",
        reason="A test",
        phase=Phase.COMPLETED if outcome else Phase.RECOVERING,
        outcome=outcome,
        cutover=cutover,
        started_at=datetime(2027, 1, 15, 20, 30, tzinfo=UTC),
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outcome", [None, *Outcome])
@pytest.mark.parametrize("cutover", list(CutoverState))
def test_what_may_serve_customers_or_still_works_is_no_leftover(
    kind: Kind, outcome: Outcome | None, cutover: CutoverState
) -> None:
    """After the start of a cutover its machines may serve customers, whatever the outcome."""
    run = ended(kind, outcome, cutover=cutover)
    assert run.is_leftover is (outcome is not None and not cutover.is_committed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("outcome", [None, *Outcome])
def test_only_a_failed_failover_keeps_its_recovery_point(kind: Kind, outcome: Outcome | None) -> None:
    assert ended(kind, outcome).keeps_its_point is ((kind, outcome) == ("failover", Outcome.FAILED))


@pytest.mark.parametrize(
    ("out_for", "takes", "right"),
    [(0, 600, False), (599, 600, False), (600, 600, False), (601, 600, True), (86_400, 600, True), (1, 0, True)],
)
@pytest.mark.parametrize("back", [True, False])
def test_a_failover_would_have_been_right_when_it_takes_less_time_than_the_outage(
    out_for: float, takes: float, right: bool, back: bool
) -> None:
    assert Hindsight(out_for=out_for, back=back, failover_takes=takes).right is right


@pytest.mark.parametrize(
    ("out_for", "back", "factor", "sentence"),
    [
        (
            90,
            True,
            1.0,
            "A failover would have been a mistake: the primary site was back 1 min 30 s after the decision, and a "
            "failover takes 10 min.",
        ),
        (
            1200,
            True,
            1.0,
            "A failover would have been right: the primary site was back 20 min after the decision, and a failover "
            "takes 10 min.",
        ),
        (
            20,
            False,
            60.0,
            "A failover would have been a mistake: the primary site was still not back 20 min after the decision, and "
            "a failover takes 10 h.",
        ),
    ],
)
def test_hindsight_says_how_long_it_lasted_and_how_long_a_failover_takes(
    out_for: float, back: bool, factor: float, sentence: str
) -> None:
    assert Hindsight(out_for=out_for, back=back, failover_takes=600).sentence(factor) == sentence


def test_hindsight_survives_the_history() -> None:
    hindsight = Hindsight(out_for=12.5, back=True, failover_takes=600)
    again = Hindsight.model_validate(hindsight.model_dump(mode="json"))
    assert (again, again.sentence()) == (hindsight, hindsight.sentence())
