"""Evidence of the primary site, in rounds, and the verdict on it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from shared.models.base import Strict
from shared.models.durations import spoken

State = Literal["up", "down", "no_data"]
SignalRole = Literal["evidence", "control", "recovery"]
"""``evidence`` is about the primary site, ``control`` about the observer, ``recovery`` about the recovery region."""


class Evidence(Strict):
    """One signal's answer. ``age`` is how many seconds old the observation was; ``direct`` is whether Coldsite probed
    the site itself, rather than Traffic Manager or a log, which may be slow to notice.

    ``spoke``: the site answered, but refused Coldsite's login, certificate or query. That says nothing of its health,
    and proves that it is alive and that the path to it works.
    """

    signal: str
    path: str
    role: SignalRole = "evidence"
    state: State
    counts_as: State
    detail: str
    age: float = 0.0
    direct: bool = True
    spoke: bool = False


class Round(Strict):
    """All signals asked once, at one time."""

    at: datetime
    evidence: list[Evidence]


class RoundView(Strict):
    """The result of one round. ``veto`` names the signals on the private path that reach the site, ``trouble`` those
    that report an incident in the recovery region."""

    says: Literal["down", "up", "unclear", "blind"]
    down_paths: list[str]
    up_paths: list[str]
    veto: list[str]
    trouble: list[str]


class Verdict(Strict):
    """The decision so far. Sentences are rendered from these fields, so that the lab can use simulated time."""

    decision: Literal["keep_looking", "confirmed", "ask", "stand_down"]
    reason: Literal[
        "agreeing",
        "healthy",
        "recovering",
        "flapping",
        "confirmed",
        "partial_outage",
        "recovery_in_trouble",
        "never_agreed",
        "observer_cut_off",
        "operator",
    ]
    agreed_for: float
    needed_for: float
    looked_for: float
    quorum: int
    first_down_at: datetime | None
    evidence: list[Evidence]

    def sentence(self, time_factor: float = 1.0) -> str:
        """The verdict in plain words, naming every signal. ``time_factor`` multiplies every duration."""
        checks = [e for e in self.evidence if e.role == "evidence"]
        down = sum(e.counts_as == "down" for e in checks)
        agreed, looked = spoken(self.agreed_for * time_factor), spoken(self.looked_for * time_factor)
        opening = {
            "confirmed": f"The primary site is unreachable: {down} of {len(checks)} checks have said so for {agreed}",
            "agreeing": f"{down} of {len(checks)} checks say unreachable, for {agreed} so far; "
            f"{spoken(self.needed_for * time_factor)} are needed",
            "healthy": f"A false alarm or a short interruption: the primary site has answered for {agreed}",
            "recovering": f"The primary site answers, for {agreed} so far; {spoken(self.needed_for * time_factor)} are "
            "needed",
            "flapping": f"{down} of {len(checks)} checks say unreachable; they do not agree for long enough",
            "partial_outage": f"Partial outage: {down} of {len(checks)} checks say unreachable, but the private path "
            "still reaches the site, so a person must decide",
            "recovery_in_trouble": f"{down} of {len(checks)} checks say unreachable, but Azure reports an incident in "
            "the recovery region, so a person must decide",
            "never_agreed": f"The checks did not agree within {looked}, so a person must decide: now {down} of "
            f"{len(checks)} say unreachable",
            "observer_cut_off": "Coldsite has lost connectivity (control check failing); the state of the primary site "
            "is unknown",
            "operator": f"Started by a person: {down} of {len(checks)} checks say unreachable",
        }[self.reason]
        return f"{opening}. {self._details(time_factor)}"

    def _details(self, time_factor: float) -> str:
        return spoken_evidence(self.evidence, time_factor)


def spoken_evidence(evidence: list[Evidence], time_factor: float = 1.0) -> str:
    """The answer of every signal, in one sentence. ``time_factor`` multiplies ages."""
    parts = []
    for item in evidence:
        old = f", {spoken(item.age * time_factor)} ago" if item.age * time_factor >= 1 else ""
        words = _ABOUT_AZURE if item.role == "recovery" else _ABOUT_A_SITE
        parts.append(f"{item.signal}: {words[item.state]} ({item.detail}{old})")
    return "; ".join(parts) + "."


_ABOUT_A_SITE = {"up": "up", "down": "unreachable", "no_data": "no data"}
_ABOUT_AZURE = {"up": "no trouble", "down": "trouble", "no_data": "no data"}
