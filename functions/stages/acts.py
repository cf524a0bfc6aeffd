"""Having the business's own automation do something, and waiting for its report. A part of orchestrators."""

from __future__ import annotations

from functions.activities.base import Activity
from functions.activities.machines import Watched
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import NeedsOperator
from shared.models.acts import ActReport, Called, read_report, streams_of
from shared.models.operations import Refused, Started
from shared.models.orders import ActOrder


def perform(
    work: RunContext, activity: Activity[ActOrder, Called | Started | Refused], name: str, order: ActOrder
) -> Doing[ActReport]:
    """Carries out one act and returns what it reports. Raises ``NeedsOperator`` when it was not done; ``name`` is the
    act's place in the plan.
    """
    answer = yield from work.insist(activity, order)
    if isinstance(answer, Refused):
        raise NeedsOperator(f"{name} could not be started. {answer.refusal.sentence} Then `retry`.")
    if isinstance(answer, Called):
        if not answer.done:
            raise NeedsOperator(f"{name}: {answer.detail}.")
        return answer.report
    watched = Watched(step=activity.name, target=order.target, operation=answer.operation)
    (state,) = yield from work.finish([watched], work.recovery.expected.run_command, order.target)
    stdout, stderr = streams_of(state.output)
    report = read_report(stdout)
    if state.state != "succeeded" or report is None or not report.done:
        output = (report.message if report else "") or stderr or stdout.strip() or "nothing"
        raise NeedsOperator(f"{name}: the script did not report that it was done: {output[:200]}")
    return report
