"""The situation of a plan: one word, one sentence, and the one or two buttons that matter now. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

from functions.http.schemas import PlanView
from shared.models.base import Strict
from shared.models.durations import spoken
from shared.models.runs import Phase, Verb
from shared.models.words import PHASES, SITES

type Tone = Literal["well", "down", "working", "asking", "away", "paused"]
_ANSWERS: dict[Verb, tuple[str, str]] = {
    "approve": ("Yes, go ahead", "primary"),
    "proceed": ("Proceed all the same", "primary"),
    "retry": ("It is fixed: retry", "primary"),
    "commit": ("Commit: customers stay home", "primary"),
    "reject": ("No", "plain"),
    "abort": ("End this run", "plain"),
}


_AZURE_CONTINUES = "Until customers move it can be ended, and Azure continues."
_HOMEWARD = {
    Phase.CHECKING_HOME: f"Coldsite compares home's databases with Azure's. {_AZURE_CONTINUES}",
    Phase.SYNCING: f"Coldsite waits until the copy has brought nearly everything home. {_AZURE_CONTINUES}",
    Phase.READY: f"Home is ready; the writes in Azure stop next. {_AZURE_CONTINUES}",
    Phase.WAITING_FOR_APPROVAL: f"Home is ready, and the failback waits for approval. {_AZURE_CONTINUES}",
    Phase.STOPPING_WRITES: f"The writes in Azure are being stopped, so no orders are taken. {_AZURE_CONTINUES}",
    Phase.FINAL_SYNC: f"The last changes are being copied home; no orders are taken. {_AZURE_CONTINUES}",
    Phase.PROVING_HOME: f"Home is being proven; no orders are taken. {_AZURE_CONTINUES}",
    Phase.CUTTING_BACK: "Customers are moving home.",
    Phase.WATCHING: "Customers are home, and home is watched. `commit` is offered when that is over.",
}


class Button(Strict):
    """One action: a POST to ``path`` with ``body`` and a reason that the person writes. ``forecast`` is asked first and
    shown. ``needs`` is the role; ``name_it`` is what must be typed where the action may destroy something.
    """

    label: str
    path: str
    body: dict[str, bool | int | str] = {}
    style: str = "plain"
    needs: Literal["operator", "approver"] = "operator"
    question: str
    forecast: bool = False
    name_it: str = ""


class Situation(Strict):
    """``word`` is the banner, ``sentence`` what happened and what Coldsite does next; ``since`` is the beginning of the
    outage, while there is one.
    """

    word: str
    tone: Tone
    sentence: str
    since: datetime | None = None
    buttons: list[Button] = []
    on_it: Button | None = None
    """Beside who is on the question, where no person is."""


def situation(plan: PlanView, now: datetime) -> Situation:
    """What a tired person must know first."""
    run = plan.run
    if run and run.waiting_for:
        return Situation(
            word="ACTION REQUIRED",
            tone="asking",
            sentence=_without_evidence(run.waiting_for, plan),
            since=plan.down_since,
            buttons=[_answer(plan, verb) for verb in run.answers[:2]],
            on_it=_on_it(plan),
        )
    if run and run.kind != "drill":
        return _at_work(plan, now)
    if plan.active_site in ("both", "none"):
        sentence = f"Traffic Manager sends customers to {SITES[plan.active_site]}: a cutover was interrupted."
        return Situation(word="ACTION REQUIRED", tone="asking", sentence=f"{sentence} {_first_warning(plan)}".strip())
    if plan.active_site == "recovery":
        return _in_azure(plan)
    return _at_home(plan, now)


def _without_evidence(text: str, plan: PlanView) -> str:
    """The question without its list of checks, which the page shows line by line."""
    signals = [evidence.signal for evidence in plan.newest_look.evidence] if plan.newest_look else []
    words = "|".join(map(re.escape, signals))
    return re.sub(rf" ?\b(?:{words}): [^();]*\([^)]*\)[;.]", "", text) if words else text


def _at_work(plan: PlanView, now: datetime) -> Situation:
    run = plan.run
    assert run is not None
    doing = PHASES[run.phase]
    if run.phase == "cleaning_up":
        sentence = f"The {run.kind} is ending: what it built is deleted, and what it stopped resumes."
        return Situation(word="ENDING", tone="working", sentence=sentence, since=plan.down_since)
    if run.kind == "failback":
        ends = run.phase in ("checking_home", "syncing", "ready", "stopping_writes", "final_sync", "proving_home")
        buttons = [_abort(plan, "End the failback")] if ends else []
        return Situation(word="COMING HOME", tone="working", sentence=_HOMEWARD[run.phase], buttons=buttons)
    if run.builds_again:
        names = ", ".join(run.builds_again)
        return Situation(
            word="RECOVERING",
            tone="working",
            sentence=f"Coldsite builds {names} again in Azure, where customers stay. Ending it keeps what was built.",
            buttons=[_abort(plan, "End this run")],
        )
    if run.phase == "confirming":
        down = f"The primary site has not answered for {_ago(plan.down_since, now)}. " if plan.down_since else ""
        return Situation(
            word="SHOP DOWN" if plan.down_since else "CHECKING",
            tone="down",
            sentence=f"{down}Coldsite is {doing}. {_once_confirmed(plan)}",
            since=plan.down_since,
            buttons=[_failover(plan), _abort(plan, "Stop: no failover")],
        )
    stop = [] if run.phase == "cutting_over" else [_abort(plan, "Stop before customers move")]
    return Situation(
        word="RECOVERING",
        tone="working",
        sentence=f"Coldsite is {doing}. Customers move as soon as the recovery site is verified.",
        since=plan.down_since,
        buttons=stop,
    )


def _once_confirmed(plan: PlanView) -> str:
    """What follows a confirmed outage; a run that a person started is held back by nothing of this."""
    if not (plan.run and plan.run.trigger == "operator"):
        if plan.paused_until:
            return "Automatic failover is paused, so nothing is built by itself."
        if plan.mode == "observe":
            return "The plan is in observe mode, so nothing is built by itself."
        if plan.mode == "approve":
            return "Once the outage is confirmed it asks for approval."
    return "It builds the machines in Azure once the outage is confirmed."


def _in_azure(plan: PlanView) -> Situation:
    if plan.azure_is_home:
        return Situation(word="RUNNING IN AZURE", tone="away", sentence="Azure is the home now.")
    protected = (
        "Recovery points of the machines there are being taken."
        if plan.protected
        else "No recent recovery point of the machines there exists."
    )
    home = Button(
        label="Start the failback",
        path=f"plans/{plan.name}/failback",
        question="Bring customers home? Where the plan asks for a signature, nothing is stopped before it.",
        style="primary",
        forecast=True,
        name_it=plan.name,
    )
    if plan.warnings:
        protected = f"{protected} {plan.warnings[0]}"
    return Situation(
        word="RUNNING IN AZURE (NOT PROTECTED)",
        tone="away",
        sentence=f"Customers are served from Azure, and replication does not protect it. {protected}",
        buttons=[home],
    )


def _at_home(plan: PlanView, now: datetime) -> Situation:
    look = plan.newest_look
    if look and look.says == "down":
        return Situation(
            word="SHOP DOWN",
            tone="down",
            sentence=f"The primary site has not answered for {_ago(plan.down_since or look.since, now)}. {_next(plan)}",
            since=plan.down_since or look.since,
            buttons=[_failover(plan)],
        )
    if plan.paused_until:
        return Situation(
            word="PAUSED",
            tone="paused",
            sentence=f"Automatic failover is paused: {plan.pause_reason}. Coldsite still observes.",
            buttons=[
                Button(
                    label="End the pause",
                    path=f"plans/{plan.name}/pause",
                    body={"for": "0s"},
                    question="Let automatic failover act again?",
                    style="primary",
                )
            ],
        )
    if plan.warnings:
        return Situation(word="ACTION REQUIRED", tone="asking", sentence=_first_warning(plan), buttons=_ordinary(plan))
    if look and look.says == "blind":
        sentence = "Coldsite itself has lost connectivity, so the state of the primary site is unknown."
        return Situation(word="ACTION REQUIRED", tone="asking", sentence=sentence)
    drill = f" A drill is in progress: {PHASES[plan.run.phase]}." if plan.run else ""
    return Situation(
        word="ALL WELL",
        tone="well",
        sentence=f"Customers are served from the primary site.{drill}",
        buttons=[] if plan.run else _ordinary(plan),
    )


def _ordinary(plan: PlanView) -> list[Button]:
    return [
        Button(
            label="Run a drill",
            path=f"plans/{plan.name}/drill",
            question="Build everything in the isolated network, verify it, and delete it? Customers are not touched.",
            forecast=True,
        ),
        Button(
            label="Pause for 2 hours",
            path=f"plans/{plan.name}/pause",
            body={"for": "2h"},
            question="Pause automatic failover for two hours? Coldsite still observes.",
        ),
    ]


def _failover(plan: PlanView) -> Button:
    return Button(
        label="Fail over now",
        path=f"plans/{plan.name}/failover",
        question="Build the machines in Azure and move customers there?",
        style="danger",
        forecast=True,
    )


def _abort(plan: PlanView, label: str) -> Button:
    assert plan.run is not None
    return Button(
        label=label,
        path=f"runs/{plan.run.run_id}/abort",
        question="End this run? What it built is deleted, and what it stopped resumes.",
        name_it=plan.name if plan.run.phase in ("recovering", "verifying") and not plan.run.builds_again else "",
    )


def _answer(plan: PlanView, verb: Verb) -> Button:
    run = plan.run
    assert run is not None
    label, style = _ANSWERS[verb]
    return Button(
        label=label,
        path=f"runs/{run.run_id}/{verb}",
        body={"question": run.holds},
        question=run.waiting_for or "",
        style=style,
        needs="approver" if verb in ("approve", "reject") else "operator",
        name_it=plan.name if verb in ("proceed", "abort") else "",
    )


def _on_it(plan: PlanView) -> Button | None:
    """An acknowledgement ends the escalation; a second person may take over by answering."""
    run = plan.run
    if run is None or run.acknowledged_by:
        return None
    return Button(
        label="I am on it",
        path=f"runs/{run.run_id}/acknowledge",
        body={"question": run.holds},
        question="Acknowledge the question? It is then not escalated to other addresses.",
    )


def _next(plan: PlanView) -> str:
    if plan.paused_until:
        return "Automatic failover is paused, so nothing starts by itself."
    if plan.mode == "observe":
        return "The plan is in observe mode, so nothing starts by itself."
    if plan.next_look_not_before:
        return (
            f"The next automatic check is at {plan.next_look_not_before:%H:%M} UTC, or as soon as another signal fails."
        )
    return "Coldsite checks again within half a minute."


def _first_warning(plan: PlanView) -> str:
    return plan.warnings[0] if plan.warnings else ""


def _ago(since: datetime | None, now: datetime) -> str:
    """In minutes: the page rounds ``now``, so seconds would be invented."""
    if since is None:
        return "a while"
    seconds = (now - since).total_seconds()
    return spoken(seconds) if seconds >= 60 else "less than a minute"
