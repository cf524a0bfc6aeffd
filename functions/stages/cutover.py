"""The cutover, in both directions: enable the new site's endpoint, disable the old one's, read both back, check DNS.
A part of the orchestrators of failover and failback.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from durabletask import task

from functions.activities.base import Activity
from functions.activities.deadlines import TOO_LATE
from functions.activities.probes import DnsOrder, ProbeOrder, check_dns, verify_site
from functions.activities.traffic import (
    ReadBack,
    Switched,
    disable_primary,
    disable_recovery,
    enable_primary,
    enable_recovery,
    read_back,
)
from functions.stages.confirm import OutageConfirmation
from functions.workflow.context import Doing, RunContext
from functions.workflow.endings import NeedsOperator
from shared.models.operations import Refused
from shared.models.orders import TrafficOrder
from shared.models.plan import Endpoint, RecoveryPlan
from shared.models.routing import EndpointView
from shared.models.runs import CutoverState

_SLOWEST = 3
"""How often the maximum age of a health check is doubled: to about five minutes for a plan that checks every ten
seconds."""


@dataclass(frozen=True)
class Moved:
    """Customers are on the new site; DNS resolved there at ``at``."""

    at: datetime


@dataclass(frozen=True)
class TryAgain:
    """Traffic is unchanged; after ``wait``, both sites must be checked again before the next order."""

    wait: timedelta = timedelta(0)


@dataclass(frozen=True)
class Blocked:
    """Traffic is unchanged; ``problem`` is a sentence on what the operator must fix."""

    problem: str


@dataclass(frozen=True)
class Direction:
    """The site that customers are moved to, and the activities that switch the two endpoints."""

    to: Literal["recovery", "primary"]
    enable: Activity[TrafficOrder, Switched | Refused]
    disable: Activity[TrafficOrder, Switched | Refused]

    def endpoints(self, plan: RecoveryPlan) -> tuple[Endpoint, Endpoint]:
        """The new site's endpoint and the old one's."""
        traffic = plan.traffic
        return (traffic.recovery, traffic.primary) if self.to == "recovery" else (traffic.primary, traffic.recovery)


TO_RECOVERY = Direction("recovery", enable_recovery, disable_primary)
TO_PRIMARY = Direction("primary", enable_primary, disable_recovery)


class Cutover(ABC):
    """Moves the customers of one run, while the newest look at the new site is fresh enough."""

    def __init__(self, work: RunContext, plan: RecoveryPlan, direction: Direction) -> None:
        self._work = work
        self._plan = plan
        self._direction = direction
        self._new, self._old = (endpoint.endpoint for endpoint in direction.endpoints(plan))
        self._half = f"The {direction.to} endpoint is enabled, so traffic may be routed there. "
        self._trying_since = work.now
        """The first order to enable the new endpoint since the operator was last asked."""
        self._holds = -1
        self._late = 0
        """How many health checks were too old: a slow app must get there as well."""
        self._without_effect = 0
        """How often Azure accepted enabling the new endpoint without effect."""
        self.stretched = False
        """Whether both endpoints were enabled for longer than a health check may be old."""

    @property
    @abstractmethod
    def looked_at(self) -> datetime:
        """When both sites were last seen in a state that allows the cutover."""

    @abstractmethod
    def verify(self, before: str = "") -> Doing[None]:
        """Waits until the new site serves. Raises ``NeedsOperator`` when it does not, with ``before`` in front of the
        reason.
        """

    def move(self) -> Doing[Moved | TryAgain | Blocked]:
        """Enables the new endpoint, reads it back, disables the old one, reads both back, waits for DNS.

        After any wait the endpoints as read back count, not Azure's answer: once the new endpoint is enabled, the
        cutover only goes forward, after another verification. Raises ``NeedsOperator`` where it cannot.
        """
        work = self._work
        if self._holds != work.holds:
            self._holds, self._trying_since = work.holds, work.now
        if (obstacle := (yield from self._enable_new(self._order))) is not None:
            return obstacle
        latched = yield from self._disable_old(self._order)
        return Moved((yield from self._wait_for_dns(latched)))

    @property
    def _order(self) -> TrafficOrder:
        to = self._direction.to
        return TrafficOrder(run=self._work.run, target=to, traffic=self._plan.traffic, to=to, holds=self._work.holds)

    def _view(self, back: ReadBack) -> EndpointView:
        """The new site's endpoint as read back."""
        return back.routing.recovery if self._direction.to == "recovery" else back.routing.primary

    def _enable_new(self, order: TrafficOrder) -> Doing[TryAgain | Blocked | None]:
        """Why the new endpoint is not enabled; None once it was read back as enabled."""
        work = self._work
        not_after = self.looked_at + self._max_check_age
        enabled = False
        if work.cutover is CutoverState.ORDERED:
            enabled = self._view((yield from self._read_back(order))).enabled
            if not enabled:
                work.cutover = CutoverState.BEGUN
                return TryAgain()
            self.stretched = True
            yield from self.verify(self._half)
        elif work.now > not_after:
            return self._not_yet(None)
        work.cutover = CutoverState.ORDERED
        limited = order if enabled else order.model_copy(update={"not_after": not_after})
        result = yield from work.insist(self._direction.enable, limited, until=limited.not_after)
        # The old endpoint is disabled only after the new one was read back as enabled: acceptance proves nothing.
        if not self._view((yield from self._read_back(order))).enabled:
            work.cutover = CutoverState.BEGUN
            return self._not_yet(result) if isinstance(result, Refused) else self._without_an_effect()
        return None

    def _disable_old(self, order: TrafficOrder) -> Doing[ReadBack]:
        """Returns the routing with only the new endpoint enabled. Raises ``NeedsOperator``."""
        old = order.model_copy(update={"target": "primary" if order.to == "recovery" else "recovery"})
        result = yield from self._latch(old)
        back = yield from self._read_back(order)
        if not back.agrees and self._view(back).enabled and not isinstance(result, Refused):
            result = yield from self._latch(old)  # Azure accepted it without effect: order it again.
            back = yield from self._read_back(order)
        if isinstance(result, Refused) and not back.agrees:
            raise NeedsOperator(
                f"The {self._direction.to} endpoint is enabled, but the {old.target} endpoint could not be disabled: "
                f"traffic may go to both sites. {result.refusal.sentence} Disable {self._old} in the portal, then "
                "`retry`."
            )
        if not back.agrees:
            raise NeedsOperator(
                f"Traffic Manager does not show the ordered state; it routes to {back.routing.active_site}. "
                "Check the profile in the portal, then `retry`."
            )
        return back

    def _wait_for_dns(self, back: ReadBack) -> Doing[datetime]:
        """When DNS resolved to the new site. Raises ``NeedsOperator`` when it does not."""
        work, plan = self._work, self._plan
        hostname = plan.traffic.hostname
        answer = yield from work.poll(
            check_dns,
            DnsOrder(run=work.run, target=hostname, hostname=hostname, target_name=self._view(back).target),
            done=lambda seen: seen.moved,
            every=plan.recovery.poll_at_least,
            limit=plan.traffic.dns_timeout,
        )
        if not answer.moved:
            why = self._view(back).not_checked or "Check the profile in the portal."
            raise NeedsOperator(
                f"{hostname} does not resolve to the {self._direction.to} site yet. {why} Then `retry`."
            )
        return answer.at

    @property
    def _max_check_age(self) -> timedelta:
        """The maximum age of a health check on which traffic may be moved."""
        return self._plan.detection.max_check_age * (1 << self._late)

    def _latch(self, order: TrafficOrder) -> Doing[Switched | Refused]:
        """Disables the old endpoint. An order that Azure defers is sent again only after another verification of the
        new site: it may have died meanwhile, and the old one may be the only site. Raises ``NeedsOperator`` then.
        """
        work, began = self._work, self._work.now
        while True:
            until = work.now + self._max_check_age
            limited = order.model_copy(update={"not_after": until})
            result = yield from work.insist(self._direction.disable, limited, until=until)
            if not isinstance(result, Refused):
                return result
            late = result.refusal.code == TOO_LATE
            if not (late or result.is_for_later) or work.now - began > self._plan.recovery.operation_timeout:
                return result
            if not self.stretched:
                self.stretched = True
                text = (
                    f"Cutover incomplete: both endpoints are enabled, since Azure has not disabled {self._old} yet. "
                    "Coldsite keeps retrying."
                )
                work.tell(self._plan.notify, "needs_operator", f"{self._plan.title}: cutover incomplete", text)
            if late:
                self._late = min(self._late + 1, _SLOWEST)
            else:
                yield from work.sleep(work.pause_before_retry(result))
            yield from self.verify(self._half)
            if not self._view((yield from self._read_back(self._order))).enabled:
                raise NeedsOperator(
                    f"The {self._direction.to} endpoint {self._new} was disabled in Traffic Manager after Coldsite had "
                    f"enabled it, so {self._old} was left as it is. Check the profile in the portal, then `retry`."
                )

    def _without_an_effect(self) -> TryAgain | Blocked:
        """Azure accepted the order without effect: it is ordered again once, then the operator must look."""
        self._without_effect += 1
        if self._without_effect % 2:
            return TryAgain()
        return Blocked(
            f"Traffic Manager accepted the request to enable {self._new}, but it is still disabled; "
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
            wait = self._work.pause_before_retry(refused)
        if (late or wait) and self._work.now - self._trying_since < self._plan.recovery.operation_timeout:
            return TryAgain(wait)
        too_old = "Coldsite could not act on a health check fresh enough to be trusted."
        why = refused.refusal.sentence if refused and not late else too_old
        return Blocked(
            f"The {self._direction.to} endpoint could not be enabled; traffic is unchanged. {why} Fix this, then "
            f"`retry`."
        )

    def _read_back(self, order: TrafficOrder) -> Doing[ReadBack]:
        return (yield from self._work.do(read_back, order.model_copy(update={"target": "traffic"})))


def verify_recovery_site(work: RunContext, plan: RecoveryPlan, before: str = "") -> Doing[None]:
    """Probes the recovery site as a customer would. Raises ``NeedsOperator`` when it does not serve in time, with
    ``before`` in front of the reason.
    """
    seen = yield from work.poll(
        verify_site,
        ProbeOrder(run=work.run, target="site", probes=plan.traffic.verify),
        done=lambda probed: probed.healthy,
        every=plan.recovery.probe.interval,
        limit=plan.recovery.probe.timeout,
    )
    if not seen.healthy:
        raise NeedsOperator(f"{before}The recovery site does not serve: {seen.detail}. Fix this, then `retry`.")


class FailoverCutover(Cutover):
    """The cutover to the recovery site, once what ``looking`` saw last of the primary allows it."""

    def __init__(self, work: RunContext, plan: RecoveryPlan, looking: OutageConfirmation) -> None:
        super().__init__(work, plan, TO_RECOVERY)
        self._looking = looking

    @property
    def looked_at(self) -> datetime:
        return self._looking.looked_at

    def verify(self, before: str = "") -> Doing[None]:
        yield from verify_recovery_site(self._work, self._plan, before)

    def may_serve(self) -> Doing[str | None]:
        """Why the recovery site must stay: its endpoint is enabled by hand, or cannot be read. The run's row says so
        too, since housekeeping deletes the leftovers of an ended run.
        """
        if self._work.cutover is CutoverState.NOT_STARTED:
            return None
        try:
            if not (yield from self._read_back(self._order)).routing.recovery.enabled:
                return None
            problem = "Traffic Manager is routing to the recovery site; its resources were kept"
        except task.TaskFailedError:
            problem = "Traffic Manager could not be read; the resources of the recovery site were kept"
        yield from self._work.record_now(cutover=CutoverState.MOVED)
        return f"{problem}."
