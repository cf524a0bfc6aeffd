"""Moving the customers: enable recovery, disable the primary, read both back, ask DNS. A part of the failover's
orchestrator.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from durabletask import task

from functions.activities.deadlines import TOO_LATE
from functions.activities.probes import DnsOrder, ProbeOrder, check_dns, verify_site
from functions.activities.traffic import ReadBack, Switched, disable_primary, enable_recovery, read_back
from functions.stages.confirm import OutageConfirmation
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import ProblemError
from shared.models.operations import Refused
from shared.models.orders import TrafficOrder
from shared.models.plan import RecoveryPlan

_SLOWEST = 3
"""How often the age that a look may have is doubled: to about five minutes for a plan that looks every ten seconds."""

_HALF = "Azure's endpoint is enabled, so customers may be sent there. "


class Cutover:
    """Moves the customers of one run, once what ``looking`` saw last allows it."""

    def __init__(self, work: RunContext, plan: RecoveryPlan, looking: OutageConfirmation) -> None:
        self._work = work
        self._plan = plan
        self._looking = looking
        self._tried = False
        """Whether it has ever begun: a person may have been asked to repair Traffic Manager."""
        self._ordered = False
        """Whether customers may have been moved: the recovery endpoint was ordered to be enabled."""
        self._trying_since = work.now
        """Since when the recovery endpoint is ordered to be enabled, without a person having been asked since."""
        self._holds = -1
        self._late = 0
        """How often the last look was too old: an app that is slow must get there all the same."""
        self._without_effect = 0
        """How often Azure said that the recovery endpoint is enabled when it was not."""
        self.stretched = False
        """Whether both endpoints were enabled for longer than a look may be old."""
        self.put_off = timedelta(0)
        """How long Azure wants to be left alone before the next order."""

    def verify(self, before: str = "") -> Doing[None]:
        """Waits until the recovery site serves, asked as a customer would. Raises ``ProblemError`` when not, with
        ``before`` in front of what is wrong.
        """
        work, plan = self._work, self._plan
        began, look = work.now, 0
        while True:
            look += 1
            order = ProbeOrder(run=work.run, target="site", attempt=look, began_at=began, probes=plan.traffic.verify)
            seen = yield from work.do(verify_site, order)
            if seen.healthy:
                return
            if work.now - began > plan.recovery.probe.timeout:
                raise ProblemError(f"{before}The recovery site does not serve: {seen.detail}. Repair it, then retry.")
            yield from work.sleep(plan.recovery.probe.interval)

    def move(self) -> Doing[datetime | str | None]:
        """Returns when DNS answered the recovery site. When customers were not moved: why, for a person to repair, or
        None where both sites must be looked at again, since the last look is too old to move customers by it.

        After any wait what Traffic Manager holds counts, not what was heard: once the recovery site is enabled it only
        goes forward, after it was verified anew.
        """
        work, plan = self._work, self._plan
        not_after = self._looking.looked_at + self._patience
        order = TrafficOrder(run=work.run, target="recovery", traffic=plan.traffic, holds=work.holds)
        self._tried, self.put_off = True, timedelta(0)
        if self._holds != work.holds:
            self._holds, self._trying_since = work.holds, work.now
        enabled = False
        if self._ordered:
            enabled = (yield from self._read_back(order)).routing.recovery.enabled
            if enabled:
                self.stretched = True
                yield from self.verify(_HALF)
        if not enabled and self._ordered:
            self._ordered = False
            return None
        if not enabled and work.now > not_after:
            return self._not_yet(None)
        self._ordered = True
        limited = order if enabled else order.model_copy(update={"not_after": not_after})
        result = yield from work.insist(enable_recovery, limited, until=limited.not_after)
        # The primary is disabled only when the recovery site was seen to be enabled: a yes alone proves nothing.
        if not (yield from self._read_back(order)).routing.recovery.enabled:
            self._ordered = False
            return self._not_yet(result) if isinstance(result, Refused) else self._without_an_effect()
        primary = order.model_copy(update={"target": "primary"})
        latched = yield from self._latch(primary)
        back = yield from self._read_back(order)
        if not back.agrees and back.routing.recovery.enabled and not isinstance(latched, Refused):
            latched = yield from self._latch(primary)  # Azure said yes and did not do it: once more.
            back = yield from self._read_back(order)
        if isinstance(latched, Refused) and not back.agrees:
            raise ProblemError(
                "Azure's endpoint is enabled, but the primary's could not be disabled, so customers may be sent to "
                f"both sites. {latched.refusal.sentence} Disable {plan.traffic.primary.endpoint} in the portal, then "
                "retry."
            )
        if not back.agrees:
            raise ProblemError(
                f"Traffic Manager does not hold what was ordered; it sends customers to {back.routing.active_site}. "
                "Look at the profile in the portal, then retry."
            )
        began, look = work.now, 0
        while True:
            look += 1
            ask = DnsOrder(
                run=work.run,
                target=plan.traffic.hostname,
                attempt=look,
                began_at=began,
                hostname=plan.traffic.hostname,
                target_name=back.routing.recovery.target,
            )
            answer = yield from work.do(check_dns, ask)
            if answer.moved:
                return answer.at
            if work.now - began > plan.traffic.dns_timeout:
                why = back.routing.recovery.not_checked or "Look at the profile in the portal."
                raise ProblemError(
                    f"DNS does not answer the recovery site for {plan.traffic.hostname}. {why} Then retry."
                )
            yield from work.sleep(plan.recovery.poll_at_least)

    @property
    def _patience(self) -> timedelta:
        """How old a look may be, at most, to move anybody by it."""
        return self._plan.detection.patience * (1 << self._late)

    def _latch(self, order: TrafficOrder) -> Doing[Switched | Refused]:
        """Disables the primary. What Azure puts off is ordered again only after the recovery site was verified anew: it
        may have died meanwhile, and the primary may be all that customers have. Raises ``ProblemError`` then.
        """
        work, began = self._work, self._work.now
        while True:
            until = work.now + self._patience
            limited = order.model_copy(update={"not_after": until})
            result = yield from work.insist(disable_primary, limited, until=until)
            if not isinstance(result, Refused):
                return result
            late = result.refusal.code == TOO_LATE
            if not (late or result.is_for_later) or work.now - began > self._plan.recovery.operation_timeout:
                return result
            if not self.stretched:
                self.stretched = True
                said = (
                    f"Both endpoints are enabled, since Azure puts off disabling {self._plan.traffic.primary.endpoint}."
                )
                work.tell(
                    self._plan.notify, "needs_operator", f"{self._plan.title}: half moved", f"{said} It goes on trying."
                )
            if late:
                self._late = min(self._late + 1, _SLOWEST)
            else:
                yield from work.sleep(work.patience(result))
            yield from self.verify(_HALF)

    def _without_an_effect(self) -> str | None:
        """Azure said yes and did not do it: None to look again and order once more, then a sentence for a person."""
        self._without_effect += 1
        if self._without_effect % 2:
            return None
        return (
            f"Traffic Manager accepted that {self._plan.traffic.recovery.endpoint} is enabled and did not enable it, "
            "so customers were not moved. Look at the profile in the portal, then retry."
        )

    def _not_yet(self, refused: Refused | None) -> str | None:
        """After an order without success: None to look and order again, a sentence once a person must repair it.

        An order that comes too late makes a look that is twice as old good enough for the next; one that Azure puts
        off does not.
        """
        late = refused is None or refused.refusal.code == TOO_LATE
        if late:
            self._late = min(self._late + 1, _SLOWEST)
        elif refused and refused.is_for_later:
            self.put_off = self._work.patience(refused)
        if (late or self.put_off) and self._work.now - self._trying_since < self._plan.recovery.operation_timeout:
            return None
        why = refused.refusal.sentence if refused and not late else "The order came too late again and again."
        return f"Azure's endpoint could not be enabled, so customers were not moved. {why} Correct it, then retry."

    def _read_back(self, order: TrafficOrder) -> Doing[ReadBack]:
        return (yield from self._work.do(read_back, order.model_copy(update={"target": "traffic"})))

    def may_serve(self) -> Doing[str | None]:
        """Why what was built must stay: somebody has led customers there by hand, or that cannot be seen. The run's row
        says so too, since others clear away what an ended run left.
        """
        if not self._tried:
            return None
        order = TrafficOrder(run=self._work.run, target="recovery", traffic=self._plan.traffic)
        try:
            if not (yield from self._read_back(order)).routing.recovery.enabled:
                return None
            said = "Traffic Manager sends customers to the recovery site, so nothing of it was removed"
        except task.TaskFailedError:
            said = "Traffic Manager could not be read, so nothing of the recovery site was removed"
        yield from self._work.record_now(cutover_began=True)
        return f"{said}."
