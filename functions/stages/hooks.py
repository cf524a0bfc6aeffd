"""The plan's hooks at the turning points of a run. A required one may hold the run; a person may overrule it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

from functions.activities.hooks import call_hook
from functions.stages.acts import perform
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import NeedsOperator, without_retry
from functions.workflow.questions import Question, ask
from shared.models import ids
from shared.models.hooks import Hook, HookMoment
from shared.models.orders import ActOrder
from shared.models.plan import RecoveryPlan
from shared.models.resource_ids import compute_id
from shared.models.runs import Phase


class PlanHooks:
    """The hooks of one run. A moment that was passed is not asked again, but for ``before_cutover`` after a while."""

    def __init__(self, work: RunContext, plan: RecoveryPlan) -> None:
        self._work = work
        self._plan = plan
        self._passed: dict[HookMoment, datetime] = {}
        self._calls: Counter[HookMoment] = Counter()

    def awaits(self, moment: HookMoment) -> bool:
        """Whether the plan has a hook for the moment, which has not been passed."""
        at = self._passed.get(moment)
        kept = at is not None and (moment != "before_cutover" or self._work.now - at < self._agrees_for)
        return moment in self._plan.hooks.declared and not kept

    @property
    def _agrees_for(self) -> timedelta:
        """How long an agreement to move customers holds: what it was based on may change while a run waits."""
        return self._plan.recovery.operation_timeout / 6

    def forget(self) -> None:
        """Everything is built again, so no agreement counts any more."""
        self._passed.clear()

    def consult(self, moment: HookMoment, phase: Phase) -> Doing[None]:
        """Returns when the run may continue. A required webhook that refuses is asked again now and then, until it
        agrees or a person proceeds without it; a script is not, since it may take long. After the cutover there is
        nothing to hold up, so a refusal is only told.
        """
        if not self.awaits(moment):
            return
        hook = self._plan.hooks.declared[moment]
        problem = yield from self._refusal(moment, hook)
        if problem and hook.required and moment != "after_cutover":
            yield from self._ask(moment, hook, phase, problem)
        elif problem:
            title = f"{self._plan.title}: a hook was not carried out"
            self._work.tell(self._plan.notify, "needs_operator", title, f"{problem} The run continues.")
        self._passed[moment] = self._work.now

    def require(self, moment: HookMoment) -> Doing[None]:
        """The same, where nothing is left to overrule. Raises ``NeedsOperator`` when a required hook refuses."""
        if not self.awaits(moment):
            return
        hook = self._plan.hooks.declared[moment]
        problem = yield from self._refusal(moment, hook)
        if problem and hook.required:
            raise NeedsOperator(f"{problem} The plan requires its agreement. Fix this, then `retry`; or `abort`.")
        self._passed[moment] = self._work.now

    def _ask(self, moment: HookMoment, hook: Hook, phase: Phase, problem: str) -> Doing[None]:
        """Only a person may overrule a hook. Where the primary's writes are stopped meanwhile, the plan's default ends
        the run without an answer: the shop must not stay closed.
        """
        again = ", and Coldsite asks it again now and then" if hook.hook else ""
        choices = "`proceed` continues without it; `abort` ends the run."
        question = Question(
            f"{problem} The plan requires its agreement{again}. {choices}",
            phase,
            answer="proceed",
            has_default=self._work.after_hold == "abort",
            still_true=(lambda: self._still_refuses(moment, hook)) if hook.hook else None,
        )
        yield from ask(self._work, self._plan, question)

    def _still_refuses(self, moment: HookMoment, hook: Hook) -> Doing[bool]:
        return (yield from self._refusal(moment, hook)) is not None

    def _refusal(self, moment: HookMoment, hook: Hook) -> Doing[str | None]:
        """Why the hook refuses; None where it agrees, or where only its step is to show what became of it: a webhook
        that is not required is not waited for.
        """
        if hook.hook and not hook.required:
            self._work.in_background(call_hook, self._order(moment, hook))
            return None
        try:
            yield from perform(self._work, call_hook, f"hooks.{moment}", self._order(moment, hook))
        except NeedsOperator as problem:
            return without_retry(str(problem))
        return None

    def _order(self, moment: HookMoment, hook: Hook) -> ActOrder:
        self._calls[moment] += 1
        group, run_id = self._plan.recovery.resource_group, self._work.run.run_id
        machine = compute_id(group, "virtualMachines", ids.machine_name(run_id, hook.on)) if hook.on else ""
        return ActOrder(
            run=self._work.run,
            target=moment,
            attempt=self._calls[moment],
            act=hook,
            action=moment,
            text=self._plan.hooks.script_texts.get(moment, ""),
            machine=machine,
        )
