"""The verdict on the primary site, and its sentence."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from shared.models.base import Strict
from shared.models.durations import spoken
from shared.models.evidence import Evidence, spoken_evidence


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
