"""Is the primary unreachable? Evidence in rounds goes in; a verdict comes out (its sentence:
``models/verdict.py``).

The verdict says "unreachable", never "dead": the difference cannot be seen from outside.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from shared.models.detection import Detection
from shared.models.evidence import Evidence, Round, RoundView, State
from shared.models.verdict import Verdict

Doubt = Literal["serves", "blind", "partial", "unclear"]


def round_view(evidence: list[Evidence], quorum: int) -> RoundView:
    """Reads one round. A path is down when something on it is down and nothing on it is up, and the other way round.

    Signals of one path share a line: their disagreement makes the path unknown. While customers are served, a round
    never says down, however many other paths do.
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

    Agreement must be unbroken: a round that disagrees restarts the count, and so does a gap without rounds (after a
    restart of the app, say). It lasts for ``confirm_for``, or for ``confirm_when_all`` where every path agrees.
    Evidence that never agrees ends at ``confirm_deadline`` with a question to the operator, and an observer without
    connectivity decides nothing. A gap is not a disagreement, so only its first part, up to the normal interval between
    rounds, counts towards that deadline.
    """
    views = [round_view(r.evidence, detection.quorum) for r in rounds]
    last = views[-1]
    since = later = now
    max_age = detection.max_check_age
    for round_, view in zip(reversed(rounds), reversed(views), strict=True):
        if view.says != last.says or bool(view.veto) != bool(last.veto) or later - round_.at > max_age:
            break
        since = later = round_.at
    agreed = max(0.0, (now - since).total_seconds())
    moments = [*(r.at for r in rounds), now]
    steps = (later - earlier for earlier, later in pairwise(moments))
    looked = sum((min(max(step, timedelta(0)), max_age) for step in steps), timedelta(0)).total_seconds()
    needed = min(detection.confirm_for.total_seconds(), agreed + _left_when_all(rounds, views, detection, now))
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


def _left_when_all(rounds: list[Round], views: list[RoundView], detection: Detection, now: datetime) -> float:
    """How many seconds longer every path of the plan must say down until that alone confirms; infinite where the plan
    has no ``confirm_when_all``, or where not every path says so. One look is never enough.
    """
    later, looks = now, 0
    for round_, view in zip(reversed(rounds), reversed(views), strict=True):
        whole = view.says == "down" and not view.veto and set(view.down_paths) == detection.paths
        if not whole or later - round_.at > detection.max_check_age:
            break
        later, looks = round_.at, looks + 1
    if detection.confirm_when_all is None or not looks:
        return float("inf")
    left = (detection.confirm_when_all - (now - later)).total_seconds()
    return max(left, 0.0 if looks > 1 else detection.interval.total_seconds())


def may_prepare(verdict: Verdict) -> bool:
    """Whether a recovery may be prepared, or stay prepared: the newest round says unreachable and nothing objects."""
    seen = round_view(verdict.evidence, verdict.quorum)
    undisputed = seen.says == "down" and not seen.veto and not seen.trouble
    return undisputed and verdict.decision in ("keep_looking", "confirmed")


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
    """The reason against the cutover just before it: a difference between the evidence ``seen`` then and the evidence
    ``known`` at the decision. None when there is none.

    ``serves``: the primary serves. ``blind``: the observer has no connectivity, so its evidence means nothing.
    ``partial``: the private path is up again. A person must choose then. ``unclear``: fewer paths say unreachable than
    before; that needs no person, but another confirmation.
    """
    if primary_serves(seen):
        return "serves"
    now, then = round_view(seen, quorum), round_view(known, quorum)
    if now.says == "blind":
        return None if then.says == "blind" else "blind"
    if set(now.veto) - set(then.veto):
        return "partial"
    return "unclear" if then.says == "down" and now.says != "down" else None


def lived_again(seen: list[Evidence], at: datetime, known: Round) -> datetime | None:
    """The primary's last sign of life, if it came after the outage was ``known``: it may have taken orders until then.
    None without one, or when it was known to be partly alive.

    Signs of life are log entries; ``at`` is when they were ``seen``.
    """
    ages = [e.age for e in seen if e.role == "evidence" and e.age > 0]
    in_part = any(e.direct and e.counts_as == "up" for e in known.evidence if e.role == "evidence")
    newest = at - timedelta(seconds=min(ages)) if ages else None
    return newest if newest and newest > known.at and not in_part else None


def primary_serves(evidence: list[Evidence]) -> bool:
    """Whether the primary serves customers: its public path is up, whatever else is silent or slow to notice.

    Coldsite's own probes count before Traffic Manager, which notices an outage, and a return, only after several
    probes. Without a signal on the public path, at least one signal must be up and none down.
    """
    checks = [e for e in evidence if e.role == "evidence"]
    public = [e for e in checks if e.path == "public"]
    asked = [e for e in public if e.direct and e.counts_as != "no_data"]
    seen = asked or public or checks
    return any(e.counts_as == "up" for e in seen) and not any(e.counts_as == "down" for e in seen)
