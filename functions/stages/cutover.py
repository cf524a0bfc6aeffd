"""The cutover: enable recovery, disable the primary, read both back, check DNS. A part of the failover's
orchestrator.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from durabletask import task

from functions.activities.deadlines import TOO_LATE
from functions.activities.probes import DnsOrder, ProbeOrder, check_dns, verify_site
from functions.activities.traffic import ReadBack, Switched, disable_primary, enable_recovery, read_back
from functions.stages.confirm import OutageConfirmation
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import NeedsOperator
from shared.models.operations import Refused
from shared.models.orders import TrafficOrder
from shared.models.plan import RecoveryPlan
from shared.models.runs import CutoverState

_SLOWEST = 3
"""How often the maximum age of a health check is doubled: to about five minutes for a plan that checks every ten
seconds."""

_HALF = "The recovery endpoint is enabled, so traffic may be routed there. "


@dataclass(frozen=True)
class Moved:
    """Customers are on the recovery site; DNS resolved there at ``at``."""

    at: datetime


@dataclass(frozen=True)
class TryAgain:
    """Traffic is unchanged; after ``wait``, both sites must be checked again before the next order."""

    wait: timedelta = timedelta(0)


@dataclass(frozen=True)
class Blocked:
    """Traffic is unchanged; ``problem`` is a sentence on what the operator must fix."""

    problem: str


class Cutover:
    """Moves the customers of one run, once what ``looking`` saw last allows it."""

    def __init__(self, work: RunContext, plan: RecoveryPlan, looking: OutageConfirmation) -> None:
        self._work = work
        self._plan = plan
        self._looking = looking
        self._trying_since = work.now
        """The first order to enable the recovery endpoint since the operator was last asked."""
        self._holds = -1
        self._late = 0
        """How many health checks were too old: a slow app must get there as well."""
        self._without_effect = 0
        """How often Azure accepted enabling the recovery endpoint without effect."""
        self.stretched = False
        """Whether both endpoints were enabled for longer than a health check may be old."""

    def verify(self, before: str = "") -> Doing[None]:
        """Waits until the recovery site serves, probed as a customer would. Raises ``NeedsOperator`` when it does not,
        with ``before`` in front of the reason.
        """
        work, plan = self._work, self._plan
        seen = yield from work.poll(
            verify_site,
            ProbeOrder(run=work.run, target="site", probes=plan.traffic.verify),
            done=lambda probed: probed.healthy,
            every=plan.recovery.probe.interval,
            limit=plan.recovery.probe.timeout,
        )
        if not seen.healthy:
            raise NeedsOperator(f"{before}The recovery site does not serve: {seen.detail}. Fix this, then `retry`.")

    def move(self) -> Doing[Moved | TryAgain | Blocked]:
        """Enables the recovery endpoint, reads it back, disables the primary endpoint, reads both back, waits for DNS.

        After any wait the endpoints as read back count, not Azure's answer: once the recovery endpoint is enabled, the
        cutover only goes forward, after another verification. Raises ``NeedsOperator`` where it cannot.
        """
        work = self._work
        if self._holds != work.holds:
            self._holds, self._trying_since = work.holds, work.now
        order = TrafficOrder(run=work.run, target="recovery", traffic=self._plan.traffic, holds=work.holds)
        if (obstacle := (yield from self._enable_recovery(order))) is not None:
            return obstacle
        latched = yield from self._disable_primary(order)
        return Moved((yield from self._wait_for_dns(latched)))

    def _enable_recovery(self, order: TrafficOrder) -> Doing[TryAgain | Blocked | None]:
        """Why the recovery endpoint is not enabled; None once it was read back as enabled."""
        work = self._work
        not_after = self._looking.looked_at + self._patience
        enabled = False
        if work.cutover is CutoverState.ORDERED:
            enabled = (yield from self._read_back(order)).routing.recovery.enabled
            if not enabled:
                work.cutover = CutoverState.BEGUN
                return TryAgain()
            self.stretched = True
            yield from self.verify(_HALF)
        elif work.now > not_after:
            return self._not_yet(None)
        work.cutover = CutoverState.ORDERED
        limited = order if enabled else order.model_copy(update={"not_after": not_after})
        result = yield from work.insist(enable_recovery, limited, until=limited.not_after)
        # The primary is disabled only after the recovery endpoint was read back as enabled: acceptance proves nothing.
        if not (yield from self._read_back(order)).routing.recovery.enabled:
            work.cutover = CutoverState.BEGUN
            return self._not_yet(result) if isinstance(result, Refused) else self._without_an_effect()
        return None

    def _disable_primary(self, order: TrafficOrder) -> Doing[ReadBack]:
        """Returns the routing with only the recovery endpoint enabled. Raises ``NeedsOperator``."""
        primary = order.model_copy(update={"target": "primary"})
        result = yield from self._latch(primary)
        back = yield from self._read_back(order)
        if not back.agrees and back.routing.recovery.enabled and not isinstance(result, Refused):
            result = yield from self._latch(primary)  # Azure accepted it without effect: order it again.
            back = yield from self._read_back(order)
        if isinstance(result, Refused) and not back.agrees:
            raise NeedsOperator(
                "The recovery endpoint is enabled, but the primary endpoint could not be disabled: traffic may go to "
                f"both sites. {result.refusal.sentence} Disable {self._plan.traffic.primary.endpoint} in the portal, "
                "then `retry`."
            )
        if not back.agrees:
            raise NeedsOperator(
                f"Traffic Manager does not show the ordered state; it routes to {back.routing.active_site}. "
                "Check the profile in the portal, then `retry`."
            )
        return back

    def _wait_for_dns(self, back: ReadBack) -> Doing[datetime]:
        """When DNS resolved to the recovery site. Raises ``NeedsOperator`` when it does not."""
        work, plan = self._work, self._plan
        hostname = plan.traffic.hostname
        answer = yield from work.poll(
            check_dns,
            DnsOrder(run=work.run, target=hostname, hostname=hostname, target_name=back.routing.recovery.target),
            done=lambda seen: seen.moved,
            every=plan.recovery.poll_at_least,
            limit=plan.traffic.dns_timeout,
        )
        if not answer.moved:
            why = back.routing.recovery.not_checked or "Check the profile in the portal."
            raise NeedsOperator(f"{hostname} does not resolve to the recovery site yet. {why} Then `retry`.")
        return answer.at

    @property
    def _patience(self) -> timedelta:
        """The maximum age of a health check on which traffic may be moved."""
        return self._plan.detection.patience * (1 << self._late)

    def _latch(self, order: TrafficOrder) -> Doing[Switched | Refused]:
        """Disables the primary. An order that Azure defers is sent again only after another verification of the
        recovery site: it may have died meanwhile, and the primary may be the only site. Raises ``NeedsOperator`` then.
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
                text = (
                    "Cutover incomplete: both endpoints are enabled, since Azure has not disabled "
                    f"{self._plan.traffic.primary.endpoint} yet. Coldsite keeps retrying."
                )
                work.tell(self._plan.notify, "needs_operator", f"{self._plan.title}: cutover incomplete", text)
            if late:
                self._late = min(self._late + 1, _SLOWEST)
            else:
                yield from work.sleep(work.patience(result))
            yield from self.verify(_HALF)

    def _without_an_effect(self) -> TryAgain | Blocked:
        """Azure accepted the order without effect: it is ordered again once, then the operator must look."""
        self._without_effect += 1
        if self._without_effect % 2:
            return TryAgain()
        return Blocked(
            f"Traffic Manager accepted enabling {self._plan.traffic.recovery.endpoint} and did not enable it; "
            "traffic is unchanged. Check the profile in the portal, then `retry`."
        )

    def _not_yet(self, refused: Refused | None) -> TryAgain | Blocked:
        """After an order without success: another attempt, until the operator must fix it.

        An order that comes too late doubles the maximum age of the next check; one that Azure defers does not.
        """
        wait = timedelta(0)
        late = refused is None or refused.refusal.code == TOO_LATE
        if late:
            self._late = min(self._late + 1, _SLOWEST)
        elif refused and refused.is_for_later:
            wait = self._work.patience(refused)
        if (late or wait) and self._work.now - self._trying_since < self._plan.recovery.operation_timeout:
            return TryAgain(wait)
        too_old = "Coldsite could not act on a health check fresh enough to be trusted."
        why = refused.refusal.sentence if refused and not late else too_old
        return Blocked(
            f"The recovery endpoint could not be enabled; traffic is unchanged. {why} Fix this, then `retry`."
        )

    def _read_back(self, order: TrafficOrder) -> Doing[ReadBack]:
        return (yield from self._work.do(read_back, order.model_copy(update={"target": "traffic"})))

    def may_serve(self) -> Doing[str | None]:
        """Why the recovery site must stay: its endpoint is enabled by hand, or cannot be read. The run's row says so
        too, since housekeeping deletes the leftovers of an ended run.
        """
        if self._work.cutover is CutoverState.NOT_STARTED:
            return None
        order = TrafficOrder(run=self._work.run, target="recovery", traffic=self._plan.traffic)
        try:
            if not (yield from self._read_back(order)).routing.recovery.enabled:
                return None
            problem = "Traffic Manager is routing to the recovery site; its resources were kept"
        except task.TaskFailedError:
            problem = "Traffic Manager could not be read; the resources of the recovery site were kept"
        yield from self._work.record_now(cutover=CutoverState.MOVED)
        return f"{problem}."
