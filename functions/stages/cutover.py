"""The cutover: enable recovery, disable the primary, read both back, check DNS. A part of the failover's
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
"""How often the maximum age of a health check is doubled: to about five minutes for a plan that checks every ten
seconds."""

_HALF = "The recovery endpoint is enabled, so traffic may be routed there. "


class Cutover:
    """The cutover of one run, once the newest evidence of ``looking`` allows it."""

    def __init__(self, work: RunContext, plan: RecoveryPlan, looking: OutageConfirmation) -> None:
        self._work = work
        self._plan = plan
        self._looking = looking
        self._tried = False
        """Whether it has ever begun: the operator may have changed Traffic Manager since."""
        self._ordered = False
        """Whether traffic may have moved: the recovery endpoint was ordered to be enabled."""
        self._trying_since = work.now
        """Since when the recovery endpoint has been ordered to be enabled, without a question in between."""
        self._holds = -1
        self._late = 0
        """How often the last check was too old: a slow app must still succeed."""
        self._without_effect = 0
        """How often Azure accepted enabling the recovery endpoint and did not enable it."""
        self.stretched = False
        """Whether both endpoints were enabled for longer than the maximum age of a check."""
        self.put_off = timedelta(0)
        """How long Azure asked to wait before the next order."""

    def verify(self, before: str = "") -> Doing[None]:
        """Waits until the recovery site serves, probed as a customer would. Raises ``ProblemError`` when it does not,
        with ``before`` in front of the reason.
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
                raise ProblemError(f"{before}The recovery site does not serve: {seen.detail}. Fix this, then `retry`.")
            yield from work.sleep(plan.recovery.probe.interval)

    def move(self) -> Doing[datetime | str | None]:
        """Returns when DNS resolved to the recovery site. Without a cutover: the reason, for the operator to fix, or
        None where both sites must be checked again, since the last check is too old to cut over on it.

        After any wait the endpoints as read back count, not Azure's answer: once the recovery endpoint is enabled, the
        cutover only goes forward, after another verification.
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
        # The primary is disabled only after the recovery endpoint was read back as enabled: acceptance proves nothing.
        if not (yield from self._read_back(order)).routing.recovery.enabled:
            self._ordered = False
            return self._not_yet(result) if isinstance(result, Refused) else self._without_an_effect()
        primary = order.model_copy(update={"target": "primary"})
        latched = yield from self._latch(primary)
        back = yield from self._read_back(order)
        if not back.agrees and back.routing.recovery.enabled and not isinstance(latched, Refused):
            latched = yield from self._latch(primary)  # Azure accepted it without effect: order it again.
            back = yield from self._read_back(order)
        if isinstance(latched, Refused) and not back.agrees:
            raise ProblemError(
                "The recovery endpoint is enabled, but the primary endpoint could not be disabled: traffic may go to "
                f"both sites. {latched.refusal.sentence} Disable {plan.traffic.primary.endpoint} in the portal, then "
                "`retry`."
            )
        if not back.agrees:
            raise ProblemError(
                f"Traffic Manager does not show the ordered state; it routes to {back.routing.active_site}. "
                "Check the profile in the portal, then `retry`."
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
                why = back.routing.recovery.not_checked or "Check the profile in the portal."
                raise ProblemError(
                    f"{plan.traffic.hostname} does not resolve to the recovery site yet. {why} Then `retry`."
                )
            yield from work.sleep(plan.recovery.poll_at_least)

    @property
    def _patience(self) -> timedelta:
        """The maximum age of a health check on which traffic may be moved."""
        return self._plan.detection.patience * (1 << self._late)

    def _latch(self, order: TrafficOrder) -> Doing[Switched | Refused]:
        """Disables the primary. An order that Azure defers is sent again only after another verification of the
        recovery site: it may have died meanwhile, and the primary may be the only site. Raises ``ProblemError`` then.
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
                    "Cutover incomplete: both endpoints are enabled, since Azure has not disabled "
                    f"{self._plan.traffic.primary.endpoint} yet. Coldsite keeps retrying."
                )
                work.tell(self._plan.notify, "needs_operator", f"{self._plan.title}: cutover incomplete", said)
            if late:
                self._late = min(self._late + 1, _SLOWEST)
            else:
                yield from work.sleep(work.patience(result))
            yield from self.verify(_HALF)

    def _without_an_effect(self) -> str | None:
        """Azure accepted the order without effect: None to check and order again, then a sentence for the operator."""
        self._without_effect += 1
        if self._without_effect % 2:
            return None
        return (
            f"Traffic Manager accepted enabling {self._plan.traffic.recovery.endpoint} and did not enable it; "
            "traffic is unchanged. Check the profile in the portal, then `retry`."
        )

    def _not_yet(self, refused: Refused | None) -> str | None:
        """After an order without success: None to check and order again, a sentence once the operator must fix it.

        An order that comes too late doubles the maximum age of the next check; one that Azure defers does not.
        """
        late = refused is None or refused.refusal.code == TOO_LATE
        if late:
            self._late = min(self._late + 1, _SLOWEST)
        elif refused and refused.is_for_later:
            self.put_off = self._work.patience(refused)
        if (late or self.put_off) and self._work.now - self._trying_since < self._plan.recovery.operation_timeout:
            return None
        too_old = "Coldsite could not act on a health check fresh enough to be trusted."
        why = refused.refusal.sentence if refused and not late else too_old
        return f"The recovery endpoint could not be enabled; traffic is unchanged. {why} Fix this, then `retry`."

    def _read_back(self, order: TrafficOrder) -> Doing[ReadBack]:
        return (yield from self._work.do(read_back, order.model_copy(update={"target": "traffic"})))

    def may_serve(self) -> Doing[str | None]:
        """Why the recovery site must stay: its endpoint is enabled by hand, or cannot be read. The run's row says so
        too, since housekeeping deletes the leftovers of an ended run.
        """
        if not self._tried:
            return None
        order = TrafficOrder(run=self._work.run, target="recovery", traffic=self._plan.traffic)
        try:
            if not (yield from self._read_back(order)).routing.recovery.enabled:
                return None
            said = "Traffic Manager is routing to the recovery site; its resources were kept"
        except task.TaskFailedError:
            said = "Traffic Manager could not be read; the resources of the recovery site were kept"
        yield from self._work.record_now(cutover_began=True)
        return f"{said}."
