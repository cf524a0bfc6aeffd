"""Rounds of evidence for the tests of the decision: each signal's state, every ten seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from shared.models.detection import Detection
from shared.models.evidence import Evidence, Round, State
from shared.models.verdict import Verdict
from shared.policy.outage import decide
from tests.plans import contoso

START = datetime(2027, 1, 15, 20, 0, tzinfo=UTC)
DETECTION: Detection = contoso().detection
SIGNALS: dict[str, tuple[str, Literal["evidence", "control", "recovery"]]] = {
    "public": ("public", "evidence"),
    "traffic": ("public", "evidence"),
    "vpn": ("private", "evidence"),
    "heartbeat": ("agent", "evidence"),
    "observer": ("control", "control"),
    "azure": ("control", "recovery"),
}
"""Contoso's signals with their paths and roles."""

type States = dict[str, State]
"""The state of each signal; a signal that is not named is up."""

UP: States = {}
OUTAGE: States = {"public": "down", "traffic": "down", "vpn": "down", "heartbeat": "no_data"}
PUBLIC_ONLY: States = {"public": "down", "traffic": "down", "vpn": "no_data", "heartbeat": "no_data"}
PUBLIC_SERVES: States = {"vpn": "down", "heartbeat": "down"}
PRIVATE_UP: States = {"public": "down", "traffic": "down", "heartbeat": "down"}
MIXED: States = {"public": "down", "traffic": "up", "vpn": "down", "heartbeat": "no_data"}
BLIND: States = OUTAGE | {"observer": "down"}
NOT_KNOWN_WHETHER_BLIND: States = OUTAGE | {"observer": "no_data"}
SILENT: States = {"public": "no_data", "traffic": "no_data", "vpn": "no_data", "heartbeat": "no_data"}
SILENT_VPN: States = OUTAGE | {"vpn": "no_data"}
TROUBLE: States = OUTAGE | {"azure": "down"}
SILENT_AZURE: States = OUTAGE | {"azure": "no_data"}


def evidence(states: States, silence_is_down: frozenset[str] = frozenset(), age: float = 0) -> list[Evidence]:
    found = []
    for signal, (path, role) in SIGNALS.items():
        state = states.get(signal, "up")
        counts_as: State = "down" if state == "no_data" and signal in silence_is_down else state
        found.append(
            Evidence(signal=signal, path=path, role=role, state=state, counts_as=counts_as, detail="as seen", age=age)
        )
    return found


def rounds_of(
    *spans: tuple[States, float], silence_is_down: frozenset[str] = frozenset(), age: float = 0
) -> list[Round]:
    """One round every 10 s; a span gives the signals' states and their duration in seconds."""
    rounds: list[Round] = []
    for states, seconds in spans:
        for _ in range(round(seconds / 10)):
            at = START + timedelta(seconds=10 * len(rounds))
            rounds.append(Round(at=at, evidence=evidence(states, silence_is_down, age)))
    return rounds


def follow(rounds: list[Round], detection: Detection = DETECTION) -> tuple[Verdict, float]:
    """Decides after each round, as a run does, and returns the seconds until the decision."""
    for count in range(1, len(rounds) + 1):
        now = rounds[count - 1].at
        verdict = decide(rounds[:count], detection, now)
        if verdict.decision != "keep_looking":
            return verdict, (now - START).total_seconds()
    pytest.fail("The rounds ended without a decision.")
