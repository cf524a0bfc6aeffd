"""The decision: evidence in rounds goes in, a verdict comes out."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.evidence import Evidence, Round, State
from shared.models.verdict import Verdict
from shared.policy.outage import decide, doubt, may_prepare, operator_verdict, primary_serves, round_view
from tests.unit.rounds import (
    BLIND,
    DETECTION,
    MIXED,
    NOT_KNOWN_WHETHER_BLIND,
    OUTAGE,
    PRIVATE_UP,
    PUBLIC_ONLY,
    PUBLIC_SERVES,
    SIGNALS,
    SILENT,
    SILENT_VPN,
    START,
    TROUBLE,
    UP,
    States,
    evidence,
    follow,
    rounds_of,
)


@pytest.mark.parametrize(
    ("spans", "decision", "reason", "after"),
    [
        pytest.param([(OUTAGE, 200)], "confirmed", "confirmed", 90, id="steady outage"),
        pytest.param([(UP, 200)], "stand_down", "healthy", 90, id="false alarm"),
        pytest.param([(OUTAGE, 20), (UP, 200)], "stand_down", "healthy", 110, id="blip"),
        pytest.param([(OUTAGE, 60), (UP, 30)] * 8, "ask", "never_agreed", 600, id="flapping"),
        pytest.param([(OUTAGE, 80), (UP, 10), (OUTAGE, 200)], "confirmed", "confirmed", 180, id="healthy restarts"),
        pytest.param([(OUTAGE, 80), (BLIND, 10), (OUTAGE, 200)], "confirmed", "confirmed", 180, id="blind restarts"),
        pytest.param([(OUTAGE, 80), (MIXED, 10), (OUTAGE, 200)], "confirmed", "confirmed", 180, id="unclear restarts"),
        pytest.param([(PRIVATE_UP, 80), (OUTAGE, 200)], "confirmed", "confirmed", 170, id="veto restarts"),
        pytest.param([(PRIVATE_UP, 200)], "ask", "partial_outage", 90, id="veto"),
        pytest.param([(OUTAGE, 80), (PRIVATE_UP, 200)], "ask", "partial_outage", 170, id="veto that comes late"),
        pytest.param([(PUBLIC_ONLY, 700)], "ask", "never_agreed", 600, id="two signals of one path are one path"),
        pytest.param([(MIXED, 700)], "ask", "never_agreed", 600, id="a path that disagrees with itself is not known"),
        pytest.param([(SILENT, 700)], "ask", "never_agreed", 600, id="silence proves nothing"),
        pytest.param([(SILENT_VPN, 700)], "ask", "never_agreed", 600, id="a silent path does not count"),
        pytest.param([(BLIND, 700)], "stand_down", "observer_cut_off", 600, id="observer cut off"),
        pytest.param([(NOT_KNOWN_WHETHER_BLIND, 700)], "stand_down", "observer_cut_off", 600, id="control is silent"),
        pytest.param([(BLIND, 520), (OUTAGE, 200)], "ask", "never_agreed", 600, id="sees again too late"),
        pytest.param([(PUBLIC_SERVES, 700)], "ask", "never_agreed", 600, id="customers are served"),
        pytest.param(
            [(OUTAGE, 80), (PUBLIC_SERVES, 10), (OUTAGE, 200)], "confirmed", "confirmed", 180, id="serving restarts"
        ),
    ],
)
def test_decides(spans: list[tuple[States, float]], decision: str, reason: str, after: float) -> None:
    verdict, seconds = follow(rounds_of(*spans))
    assert (verdict.decision, verdict.reason, seconds) == (decision, reason, after)


ALL_DOWN = OUTAGE | {"heartbeat": "down"}


@pytest.mark.parametrize(
    ("spans", "decision", "after"),
    [
        pytest.param([(ALL_DOWN, 200)], "confirmed", 50, id="every path"),
        pytest.param([(OUTAGE, 200)], "confirmed", 90, id="two of three"),
        pytest.param([(OUTAGE, 30), (ALL_DOWN, 200)], "confirmed", 80, id="the third comes late"),
        pytest.param([(OUTAGE, 70), (ALL_DOWN, 200)], "confirmed", 90, id="the third comes too late to matter"),
        pytest.param([(ALL_DOWN, 40), (UP, 10), (ALL_DOWN, 200)], "confirmed", 100, id="healthy restarts"),
        pytest.param([(ALL_DOWN, 40), (UP, 30)] * 12, "ask", 600, id="flapping"),
        pytest.param([(UP, 200)], "stand_down", 90, id="standing down is not sooner"),
    ],
)
def test_where_every_path_agrees_a_plan_may_confirm_sooner(
    spans: list[tuple[States, float]], decision: str, after: float
) -> None:
    sooner = DETECTION.model_copy(update={"confirm_when_all": timedelta(seconds=45)})
    verdict, seconds = follow(rounds_of(*spans), sooner)
    assert (verdict.decision, seconds) == (decision, after)


def test_one_look_never_confirms_however_short_the_plan_says() -> None:
    at_once = DETECTION.model_copy(update={"confirm_when_all": timedelta(0)})
    assert follow(rounds_of((ALL_DOWN, 100)), at_once)[1] == 10


@pytest.mark.parametrize(
    ("states", "silence_is_down", "decision"),
    [
        (SILENT_VPN, {"vpn"}, "confirmed"),
        (SILENT_VPN, {"heartbeat"}, "confirmed"),
        (SILENT_VPN, set(), "ask"),
        (SILENT, {"public", "vpn"}, "confirmed"),
        (SILENT, {"public", "traffic"}, "ask"),
    ],
)
def test_silence_counts_as_the_plan_declares(states: States, silence_is_down: set[str], decision: str) -> None:
    verdict, _ = follow(rounds_of((states, 700), silence_is_down=frozenset(silence_is_down)))
    assert verdict.decision == decision


@pytest.mark.parametrize(("quorum", "decision"), [(1, "confirmed"), (2, "confirmed"), (3, "ask")])
def test_the_quorum_counts_paths(quorum: int, decision: str) -> None:
    verdict, _ = follow(rounds_of((OUTAGE, 700)), DETECTION.model_copy(update={"quorum": quorum}))
    assert verdict.decision == decision


@pytest.mark.parametrize(
    ("states", "says", "down", "up", "veto"),
    [
        (UP, "up", [], ["agent", "private", "public"], ["vpn"]),
        (OUTAGE, "down", ["private", "public"], [], []),
        (PRIVATE_UP, "down", ["agent", "public"], ["private"], ["vpn"]),
        (PUBLIC_ONLY, "unclear", ["public"], [], []),
        (MIXED, "unclear", ["private"], [], []),
        (SILENT, "unclear", [], [], []),
        (BLIND, "blind", ["private", "public"], [], []),
        (UP | {"observer": "down"}, "blind", [], ["agent", "private", "public"], ["vpn"]),
        (UP | {"traffic": "down"}, "unclear", [], ["agent", "private"], ["vpn"]),
    ],
)
def test_reads_one_round_by_its_paths(
    states: States, says: str, down: list[str], up: list[str], veto: list[str]
) -> None:
    seen = round_view(evidence(states), quorum=2)
    assert (seen.says, seen.down_paths, seen.up_paths, seen.veto) == (says, down, up, veto)


def test_two_looks_ten_minutes_apart_are_not_an_agreement() -> None:
    """The observer was unavailable in between: the primary's state in that time is unknown."""
    rounds = [Round(at=START + timedelta(minutes=m), evidence=evidence(OUTAGE)) for m in (0, 9)]
    assert decide(rounds, DETECTION, rounds[-1].at).decision != "confirmed"


def test_the_outage_is_counted_from_the_first_sign_of_it() -> None:
    first = {"public": "down"}
    rounds = rounds_of((UP, 20), (BLIND, 10), (first, 10), (OUTAGE, 200))
    assert follow(rounds)[0].first_down_at == START + timedelta(seconds=30)


def test_without_any_sign_there_is_no_beginning() -> None:
    assert follow(rounds_of((UP, 200)))[0].first_down_at is None


# What the verdict says


EVERY_ENDING = [[(OUTAGE, 200)], [(UP, 200)], [(PRIVATE_UP, 200)], [(MIXED, 700)], [(BLIND, 700)]]


@pytest.mark.parametrize("spans", EVERY_ENDING)
def test_the_sentence_names_every_signal(spans: list[tuple[States, float]]) -> None:
    sentence = follow(rounds_of(*spans))[0].sentence()
    assert [signal for signal in SIGNALS if f"{signal}: " not in sentence] == []


@pytest.mark.parametrize("spans", EVERY_ENDING)
def test_the_sentence_says_unreachable_and_never_dead(spans: list[tuple[States, float]]) -> None:
    verdict = follow(rounds_of(*spans))[0]
    sentence = verdict.sentence().lower()
    assert [word for word in ("dead", " down", "quorum", "latch") if word in sentence] == []
    assert ("unreachable" in sentence) == any(e.state == "down" for e in verdict.evidence)


@pytest.mark.parametrize(
    ("spans", "opening"),
    [
        ([(OUTAGE, 200)], "The primary site is unreachable: 3 of 4 checks have said so for 1 min 30 s."),
        (
            [(OUTAGE, 20), (UP, 200)],
            "A false alarm or a short interruption: the primary site has answered for 1 min 30 s",
        ),
        ([(PRIVATE_UP, 200)], "Partial outage: 3 of 4 checks say unreachable, but the private path still reaches"),
        ([(MIXED, 700)], "The checks did not agree within 10 min, so a person must decide: now 2 of 4 say unreachable"),
        (
            [(BLIND, 700)],
            "Coldsite has lost connectivity (control check failing); the state of the primary site is unknown.",
        ),
    ],
)
def test_the_sentence_opens_with_the_decision_and_its_reason(spans: list[tuple[States, float]], opening: str) -> None:
    assert follow(rounds_of(*spans))[0].sentence().startswith(opening)


def test_the_sentence_says_how_much_longer_the_evidence_must_agree() -> None:
    rounds = rounds_of((OUTAGE, 50))
    sentence = decide(rounds, DETECTION, rounds[-1].at).sentence()
    assert sentence.startswith("3 of 4 checks say unreachable, for 40 s so far; 1 min 30 s are needed.")


def test_says_that_the_observer_is_cut_off_while_it_still_looks() -> None:
    rounds = rounds_of((BLIND, 10))
    assert "Coldsite has lost connectivity" in decide(rounds, DETECTION, rounds[-1].at).sentence()


def test_the_sentence_tells_each_signals_word_and_age() -> None:
    verdict = decide([Round(at=START, evidence=evidence(OUTAGE, age=40))], DETECTION, START)
    assert "vpn: unreachable (as seen, 40 s ago)" in verdict.sentence()
    assert "heartbeat: no data (as seen, 40 s ago)" in verdict.sentence()
    assert "observer: up (as seen, 40 s ago)" in verdict.sentence()


@pytest.mark.parametrize(
    ("spans", "durations"),
    [
        ([(OUTAGE, 200)], ["for 15 min.", "(as seen, 50 s ago)"]),
        ([(UP, 200)], ["for 15 min.", "(as seen, 50 s ago)"]),
        ([(MIXED, 700)], ["within 1 h 40 min,", "(as seen, 50 s ago)"]),
        ([(OUTAGE, 50)], ["for 6 min 40 s so far; 15 min are needed", "(as seen, 50 s ago)"]),
    ],
)
def test_the_time_factor_multiplies_every_duration_of_the_sentence(
    spans: list[tuple[States, float]], durations: list[str]
) -> None:
    rounds = rounds_of(*spans, age=5)
    sentences = [decide(rounds[: n + 1], DETECTION, rounds[n].at).sentence(time_factor=10) for n in range(len(rounds))]
    assert any(all(duration in sentence for duration in durations) for sentence in sentences)


def test_a_verdict_survives_the_history() -> None:
    verdict = follow(rounds_of((OUTAGE, 200)))[0]
    again = Verdict.model_validate(verdict.model_dump(mode="json"))
    assert again == verdict
    assert again.sentence(7) == verdict.sentence(7)


@pytest.mark.parametrize(("states", "first_down"), [(OUTAGE, START), (UP, None), (BLIND, START), (SILENT, None)])
def test_an_operators_run_does_not_wait_for_the_quorum(states: States, first_down: datetime | None) -> None:
    verdict = operator_verdict(evidence(states), DETECTION, START)
    assert (verdict.decision, verdict.reason, verdict.first_down_at) == ("confirmed", "operator", first_down)
    assert verdict.sentence().startswith("Started by a person: ")


@pytest.mark.parametrize(
    ("states", "serves"),
    [
        (UP, True),
        (SILENT, False),
        (OUTAGE, False),
        (PRIVATE_UP, False),
        (SILENT | {"public": "up"}, True),
        (UP | {"heartbeat": "down"}, True),
        (UP | {"public": "down"}, False),
    ],
)
def test_the_primary_serves_when_its_public_path_is_up_however_late_the_agent_is(states: States, serves: bool) -> None:
    assert primary_serves(evidence(states)) is serves


def test_a_control_signal_alone_does_not_show_that_the_primary_serves() -> None:
    assert not primary_serves([e for e in evidence(UP) if e.role == "control"])


# What must hold for any evidence


def says_down(round_: Round, quorum: int) -> bool:
    """An independent reading of the rule: control up, nothing up on the private path, customers not served on the
    public one, ``quorum`` paths down.
    """
    control = [e for e in round_.evidence if e.role == "control"]
    checks = [e for e in round_.evidence if e.role == "evidence"]
    down = {e.path for e in checks if e.counts_as == "down"} - {e.path for e in checks if e.counts_as == "up"}
    private_up = any(e.path == "private" and e.counts_as == "up" for e in checks)
    public = {e.counts_as for e in checks if e.path == "public"}
    served = "up" in public and "down" not in public
    return all(e.counts_as == "up" for e in control) and not private_up and not served and len(down) >= quorum


def in_trouble(round_: Round) -> bool:
    return any(e.role == "recovery" and e.counts_as == "down" for e in round_.evidence)


ANY_STATES = st.fixed_dictionaries({signal: st.sampled_from(get_args(State)) for signal in SIGNALS})
LIKELY_STATES = st.sampled_from([OUTAGE] * 8 + [TROUBLE, PRIVATE_UP, PUBLIC_ONLY, PUBLIC_SERVES, BLIND, MIXED, UP])
SPAN = st.tuples(st.one_of(LIKELY_STATES, LIKELY_STATES, ANY_STATES), st.integers(1, 12))
SPANS = st.lists(SPAN, min_size=1, max_size=8)


@st.composite
def histories(draw: st.DrawFn) -> list[Round]:
    """Rounds in runs of one kind, a few to thirty seconds apart."""
    rounds, at = [], START
    for states, count in draw(SPANS):
        for _ in range(count):
            rounds.append(Round(at=at, evidence=evidence(states)))
            at += timedelta(seconds=draw(st.integers(5, 30)))
    return rounds


@given(histories(), st.integers(1, 3), st.integers(0, 9))
def test_confirms_only_after_an_unbroken_agreement(rounds: list[Round], quorum: int, later: int) -> None:
    now = rounds[-1].at + timedelta(seconds=later)
    if decide(rounds, DETECTION.model_copy(update={"quorum": quorum}), now).decision != "confirmed":
        return
    begun = [i for i, r in enumerate(rounds) if now - r.at >= DETECTION.confirm_for]
    assert begun, "confirmed before confirm_for had passed"
    assert [r.at for r in rounds[begun[-1] :] if not says_down(r, quorum)] == []
    assert not in_trouble(rounds[-1])


@given(histories())
def test_confirms_sooner_only_after_every_path_has_agreed_at_two_looks(rounds: list[Round]) -> None:
    sooner, now = DETECTION.model_copy(update={"confirm_when_all": timedelta(seconds=45)}), rounds[-1].at
    if decide(rounds, sooner, now).decision != "confirmed" or decide(rounds, DETECTION, now).decision == "confirmed":
        return
    newest = [r for r in rounds if now - r.at <= timedelta(seconds=45)]
    assert len(newest) > 1
    assert all(says_down(r, len(DETECTION.paths)) for r in newest)


@given(histories(), st.integers(1, 3))
def test_an_unbroken_agreement_is_confirmed(rounds: list[Round], quorum: int) -> None:
    now = rounds[-1].at
    begun = [i for i, r in enumerate(rounds) if now - r.at >= DETECTION.confirm_for]
    if begun and all(says_down(r, quorum) for r in rounds[begun[-1] :]):
        verdict = decide(rounds, DETECTION.model_copy(update={"quorum": quorum}), now)
        assert verdict.decision == ("ask" if in_trouble(rounds[-1]) else "confirmed")


@given(histories(), st.integers(1, 3))
def test_a_recovery_is_prepared_only_while_nothing_speaks_against_the_outage(rounds: list[Round], quorum: int) -> None:
    verdict = decide(rounds, DETECTION.model_copy(update={"quorum": quorum}), rounds[-1].at)
    undisputed = says_down(rounds[-1], quorum) and not in_trouble(rounds[-1])
    assert may_prepare(verdict) is (undisputed and verdict.decision in ("keep_looking", "confirmed"))
    assert may_prepare(verdict) or verdict.decision != "confirmed"


@given(histories())
def test_at_the_deadline_looking_ends(rounds: list[Round]) -> None:
    """For an observer without gaps, whatever the checks say."""
    deadline = rounds[0].at + DETECTION.confirm_deadline
    kept = [r for r in rounds if r.at < deadline]
    while kept[-1].at + timedelta(seconds=30) < deadline:
        kept.append(Round(at=kept[-1].at + timedelta(seconds=30), evidence=kept[-1].evidence))
    assert decide(kept, DETECTION, deadline).decision != "keep_looking"


# A site that answered, though not about its health


def spoken(states: States, *signals: str) -> list[Evidence]:
    """The evidence of these states, with some signals refused by the answering server."""
    return [e.model_copy(update={"spoke": e.signal in signals}) for e in evidence(states)]


REFUSED_LOGIN: States = {"public": "down", "traffic": "down", "vpn": "no_data", "heartbeat": "down"}


def test_a_private_path_that_spoke_speaks_against_an_outage_although_it_has_no_data() -> None:
    """A server that refuses Coldsite's login is up, and the line to it works."""
    seen = round_view(spoken(REFUSED_LOGIN, "vpn"), quorum=2)
    assert (seen.says, seen.down_paths, seen.up_paths, seen.veto) == ("down", ["agent", "public"], [], ["vpn"])
    assert round_view(evidence(REFUSED_LOGIN), quorum=2).veto == []


@pytest.mark.parametrize("signal", ["public", "traffic", "heartbeat"])
def test_only_the_private_path_has_a_veto_by_speaking(signal: str) -> None:
    assert round_view(spoken(REFUSED_LOGIN | {signal: "no_data"}, signal), quorum=1).veto == []


def test_a_person_is_asked_when_the_private_path_spoke_all_the_time() -> None:
    rounds = [Round(at=START + timedelta(seconds=10 * n), evidence=spoken(REFUSED_LOGIN, "vpn")) for n in range(12)]
    verdict, seconds = follow(rounds)
    assert (verdict.decision, verdict.reason, seconds) == ("ask", "partial_outage", 90)


def test_the_same_silence_is_an_outage_when_nothing_spoke() -> None:
    verdict, _ = follow(rounds_of((REFUSED_LOGIN, 120)))
    assert verdict.decision == "confirmed"


def test_a_private_path_that_spoke_before_the_cutover_is_a_partial_outage() -> None:
    before, now = evidence(OUTAGE | {"heartbeat": "down"}), spoken(REFUSED_LOGIN, "vpn")
    assert doubt(now, before, 2) == "partial"
