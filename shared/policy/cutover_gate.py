"""The decision just before customers move: go, ask the operator, or confirm the outage again. Pure.

Two sites with different data are worse than one outage, so whatever the last look shows that was not known at the
decision needs a person, or another confirmation.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.models.durations import spoken_moment
from shared.models.evidence import Round
from shared.policy.maintenance import Maintenance
from shared.policy.outage import Doubt, doubt, lived_again, primary_serves

Concern = Doubt | Literal["maintenance", "loss"]
"""What the operator may be asked about. Approval of one concern does not cover another."""

_AGAINST: dict[Doubt, str] = {
    "serves": "The primary site is serving traffic.",
    "blind": "Coldsite has lost connectivity (control check failing); the state of the primary site is unknown.",
    "partial": "Partial outage: the private path reaches the primary site again, so a person must decide.",
}
"""The reasons against the cutover, as sentences for the operator."""


@dataclass(frozen=True)
class Go:
    """Nothing that is known speaks for waiting."""


@dataclass(frozen=True)
class Ask:
    """A person must decide: ``about`` what, in words. ``until`` is when the question lapses by itself."""

    about: Concern
    text: str
    until: datetime | None = None


@dataclass(frozen=True)
class ConfirmAgain:
    """The checks no longer agree as they did at the decision."""

    cause: Doubt


@dataclass(frozen=True)
class LastLook:
    """What is known when the cutover is about to begin.

    ``known`` is the evidence of the decision, ``seen`` that of the last look. ``data_from`` is when the recovered data
    are from. ``loss`` is what is wrong with their age, in words; None where that was accepted or does not matter.
    """

    seen: Round
    known: Round
    quorum: int
    by_a_person: bool
    accepted: frozenset[Concern]
    maintenance: Maintenance | None
    loss: str | None
    data_from: datetime | None


def cutover_gate(look: LastLook) -> Go | Ask | ConfirmAgain:
    """Whether the cutover may begin.

    An accepted concern is not raised again, and who moved customers away from a primary that serves has accepted
    everything less. A run that a person started needs no agreement of the checks.
    """
    against = doubt(look.seen.evidence, look.known.evidence, look.quorum)
    if not against and lived_again(look.seen.evidence, look.seen.at, look.known):
        against = "unclear"  # It is down again, and one round does not show for how long.
    if look.accepted & {against, "serves"} or (against == "unclear" and look.by_a_person):
        against = None
    if against in _AGAINST:
        return Ask(against, _text(against, look))
    if against:
        return ConfirmAgain(against)
    if look.maintenance and "maintenance" not in look.accepted:
        return Ask("maintenance", look.maintenance.because, look.maintenance.until)
    if look.loss and "loss" not in look.accepted:
        return Ask("loss", look.loss)
    return Go()


def _text(against: Doubt, look: LastLook) -> str:
    if against != "serves" or look.data_from is None:
        return _AGAINST[against]
    always = primary_serves(look.known.evidence)
    serves = _AGAINST["serves"] if always else "The primary site is serving traffic again."
    return f"{serves} Its changes since {spoken_moment(look.data_from)} would be lost."
