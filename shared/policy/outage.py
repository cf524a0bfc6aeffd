"""Is the primary unreachable? Evidence in rounds goes in; a verdict with its sentence comes out.

The verdict says "unreachable", never "dead": nobody can see the difference from outside.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from shared.durations import spoken
from shared.plan import Detection, Strict

State = Literal["up", "down", "no_data"]
Role = Literal["evidence", "control", "recovery"]
"""``evidence`` is about the primary site, ``control`` about the observer itself, ``recovery`` about where to go."""


Doubt = Literal["serves", "blind", "partial", "unclear"]


class Evidence(Strict):
    """One signal's answer. ``age`` is how many seconds old the observation was when it was asked for; ``direct`` is
    whether we asked the site ourselves, or Traffic Manager or a log did, which may be slow to notice.

    ``spoke``: the site answered, but refused our own login, certificate or query. That says nothing of its health, and
    proves that it lives and that the path to it works.
    """

    signal: str
    path: str
    role: Role = "evidence"
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
    """What one round says. ``veto`` names the signals on the private path that reach the site, ``trouble`` those that
    see the recovery region in trouble."""

    says: Literal["down", "up", "unclear", "blind"]
    down_paths: list[str]
    up_paths: list[str]
    veto: list[str]
    trouble: list[str]


class Verdict(Strict):
    """The decision so far. Sentences are rendered from these fields, so that the lab can speak in simulated time."""

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
            "partial_outage": f"A partial outage: {down} of {len(checks)} checks say unreachable, but the private path "
            "still reaches the site, so a person must decide",
            "recovery_in_trouble": f"{down} of {len(checks)} checks say unreachable, but Azure reports trouble in the "
            "recovery region, so a person must decide",
            "never_agreed": f"The checks did not agree within {looked}, so a person must decide: now {down} of "
            f"{len(checks)} say unreachable",
            "observer_cut_off": "The observer itself is cut off: its control check fails, so nothing is concluded",
            "operator": f"Started by a person: {down} of {len(checks)} checks say unreachable",
        }[self.reason]
        return f"{opening}. {self._details(time_factor)}"

    def _details(self, time_factor: float) -> str:
        return spoken_evidence(self.evidence, time_factor)


def spoken_evidence(evidence: list[Evidence], time_factor: float = 1.0) -> str:
    """What every signal says, in one sentence. ``time_factor`` multiplies ages."""
    parts = []
    for item in evidence:
        old = f", {spoken(item.age * time_factor)} ago" if item.age * time_factor >= 1 else ""
        words = _ABOUT_AZURE if item.role == "recovery" else _ABOUT_A_SITE
        parts.append(f"{item.signal}: {words[item.state]} ({item.detail}{old})")
    return "; ".join(parts) + "."


_ABOUT_A_SITE = {"up": "up", "down": "unreachable", "no_data": "no data"}
_ABOUT_AZURE = {"up": "no trouble", "down": "trouble", "no_data": "no data"}


def view(evidence: list[Evidence], quorum: int) -> RoundView:
    """Reads one round. A path is down when something on it is down and nothing on it is up, and the other way round.

    Signals of one path share a line: their disagreement means that the path is not known. While customers are served, a
    round never says down, however many other paths do.
    """
    control = [e for e in evidence if e.role == "control"]
    checks = [e for e in evidence if e.role == "evidence"]
    states: dict[str, set[State]] = {}
    for item in checks:
        states.setdefault(item.path, set()).add(item.counts_as)
    down = sorted(p for p, s in states.items() if "down" in s and "up" not in s)
    up = sorted(p for p, s in states.items() if "up" in s and "down" not in s)
    mixed = any({"up", "down"} <= s for s in states.values())
    veto = sorted(e.signal for e in checks if e.path == "private" and (e.counts_as == "up" or e.spoke))
    if any(e.counts_as != "up" for e in control):
        says: Literal["down", "up", "unclear", "blind"] = "blind"
    elif len(down) >= quorum and not primary_serves(evidence):
        says = "down"
    elif up and not down and not mixed:
        says = "up"
    else:
        says = "unclear"
    trouble = sorted(e.signal for e in evidence if e.role == "recovery" and e.counts_as == "down")
    return RoundView(says=says, down_paths=down, up_paths=up, veto=veto, trouble=trouble)


def decide(rounds: list[Round], detection: Detection, now: datetime) -> Verdict:
    """Decides from every round so far, oldest first; ``rounds`` must not be empty.

    Agreement must be unbroken: one round that says otherwise starts the count again, and so does a gap in which nobody
    looked (the app was restarted, say). Evidence that never agrees ends at ``confirm_deadline`` with a person being
    asked, and an observer that is cut off concludes nothing. A time in which nobody looked is no disagreement, so of a
    gap only as much as may lie between two looks counts towards that deadline.
    """
    views = [view(r.evidence, detection.quorum) for r in rounds]
    last = views[-1]
    since = later = now
    patience = detection.patience
    for one, seen in zip(reversed(rounds), reversed(views), strict=True):
        if seen.says != last.says or bool(seen.veto) != bool(last.veto) or later - one.at > patience:
            break
        since = later = one.at
    agreed = max(0.0, (now - since).total_seconds())
    moments = [*(r.at for r in rounds), now]
    steps = (later - earlier for earlier, later in pairwise(moments))
    looked = sum((min(max(step, timedelta(0)), patience) for step in steps), timedelta(0)).total_seconds()
    needed = detection.confirm_for.total_seconds()
    late = looked >= detection.confirm_deadline.total_seconds()
    first_down = next(
        (
            r.at
            for r, v in zip(rounds, views, strict=True)
            if any(e.counts_as == "down" for e in r.evidence if e.role == "evidence") and v.says != "blind"
        ),
        None,
    )

    def verdict(decision: Literal["keep_looking", "confirmed", "ask", "stand_down"], reason: str) -> Verdict:
        return Verdict.model_validate(
            {
                "decision": decision,
                "reason": reason,
                "agreed_for": agreed,
                "needed_for": needed,
                "looked_for": looked,
                "quorum": detection.quorum,
                "first_down_at": first_down,
                "evidence": [e.model_dump() for e in rounds[-1].evidence],
            }
        )

    if last.says == "down" and agreed >= needed:
        if last.veto:
            return verdict("ask", "partial_outage")
        return verdict("ask", "recovery_in_trouble") if last.trouble else verdict("confirmed", "confirmed")
    if last.says == "up" and agreed >= needed:
        return verdict("stand_down", "healthy")
    if late:
        return verdict("stand_down", "observer_cut_off") if last.says == "blind" else verdict("ask", "never_agreed")
    reasons = {"down": "agreeing", "up": "recovering", "blind": "observer_cut_off", "unclear": "flapping"}
    return verdict("keep_looking", reasons[last.says])


def operator_verdict(evidence: list[Evidence], detection: Detection, at: datetime) -> Verdict:
    """The verdict of a run that a person started: one pass of evidence, kept and shown."""
    down = any(e.counts_as == "down" for e in evidence if e.role == "evidence")
    return Verdict(
        decision="confirmed",
        reason="operator",
        agreed_for=0,
        needed_for=0,
        looked_for=0,
        quorum=detection.quorum,
        first_down_at=at if down else None,
        evidence=evidence,
    )


def doubt(seen: list[Evidence], known: list[Evidence], quorum: int) -> Doubt | None:
    """Why the customers must not be moved yet, just before they are: what is ``seen`` then, and was not ``known`` when
    it was decided. None when nothing speaks against it.

    ``serves``: the primary serves. ``blind``: the observer is cut off, so what it sees of the primary means nothing.
    ``partial``: the private path is up, though it was not. A person must choose then. ``unclear``: fewer paths say
    unreachable than did; that needs no person, but another confirmation.
    """
    if primary_serves(seen):
        return "serves"
    now, then = view(seen, quorum), view(known, quorum)
    if now.says == "blind":
        return None if then.says == "blind" else "blind"
    if set(now.veto) - set(then.veto):
        return "partial"
    return "unclear" if then.says == "down" and now.says != "down" else None


def lived_again(seen: list[Evidence], at: datetime, known: Round) -> datetime | None:
    """When the primary last gave a sign of life, if that was after the outage had been ``known``: it may have taken
    orders until then. None when it gave none, or when it was known to be alive in part.

    Signs of life are what arrives in logs; ``at`` is when they were ``seen``.
    """
    ages = [e.age for e in seen if e.role == "evidence" and e.age > 0]
    in_part = any(e.direct and e.counts_as == "up" for e in known.evidence if e.role == "evidence")
    newest = at - timedelta(seconds=min(ages)) if ages else None
    return newest if newest and newest > known.at and not in_part else None


def primary_serves(evidence: list[Evidence]) -> bool:
    """Whether customers are served by the primary: its public path is up, whatever else is silent or slow to notice.

    What we asked ourselves counts before what we were told: Traffic Manager notices an end, and a return, only after
    several probes. Where no signal is on the public path, something must be up and nothing down.
    """
    checks = [e for e in evidence if e.role == "evidence"]
    public = [e for e in checks if e.path == "public"]
    asked = [e for e in public if e.direct and e.counts_as != "no_data"]
    seen = asked or public or checks
    return any(e.counts_as == "up" for e in seen) and not any(e.counts_as == "down" for e in seen)
