"""What would go wrong in a failover, from the facts of an ordinary day. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from shared.models.durations import spoken, spoken_moment
from shared.models.ids import machine_name
from shared.models.plan import RecoveryPlan, Workload
from shared.models.readiness import Finding, InterfaceView, Quota, ReadinessFacts, SizeView
from shared.models.resource_ids import take_apart
from shared.models.routing import ActiveSite
from shared.policy.azure_permissions import places_of
from shared.policy.loss import loss_question
from shared.policy.support import ENDS, NOTICE, title_of

DRILL_AGE = timedelta(days=100)
"""A quarter, and a few days' grace."""
DELIVERY_AGE = timedelta(days=90)
"""How long a delivered message proves its address: keys and channels expire."""
GOOD_NOTICE = 60
"""Seconds until Traffic Manager notices an outage: every 10 s, 2 tolerated failures, a time-out of 5 s make 35."""
GOOD_TTL = 30
"""Seconds. Until it has passed, resolvers send customers to the old site."""


def findings(
    plan: RecoveryPlan, active_site: ActiveSite, data_until: datetime | None, facts: ReadinessFacts
) -> list[Finding]:
    """Blockers first. Facts that could not be read are findings, too: what cannot be seen is not known to work."""
    found = [
        *_unread(facts),
        *_traffic(plan, active_site, facts),
        *_rights(plan, facts),
        *_interfaces(plan, active_site, facts),
        *_sizes(plan, active_site, facts),
        *_data(plan, active_site, data_until, facts),
        *_site(plan, active_site, facts),
        *_notifications(plan, facts),
        *_drills(facts),
        *_support(plan, facts),
        *_way_home(plan),
    ]
    return sorted(found, key=lambda finding: (finding.severity != "blocker", finding.code, finding.subject))


def _unread(facts: ReadinessFacts) -> Iterator[Finding]:
    for part, why in sorted(facts.unread.items()):
        yield Finding(
            code="unread",
            subject=part,
            severity="warning",
            found=f"{part} could not be read: {why}.",
            why="Coldsite could not verify this.",
            fix="Check the roles of Coldsite's identity (infra/roles), then ask again.",
        )


def _traffic(plan: RecoveryPlan, active_site: ActiveSite, facts: ReadinessFacts) -> Iterator[Finding]:
    traffic = plan.traffic
    if facts.routing and active_site == "primary":
        if not facts.routing.primary.enabled:
            yield Finding(
                code="primary_disabled",
                subject=traffic.primary.endpoint,
                severity="blocker",
                found=f"The primary endpoint {traffic.primary.endpoint} is disabled.",
                why="Traffic Manager does not send customers to the site that serves them.",
                fix="Enable it in the portal, or record the serving site with `coldsite settle`.",
            )
        if facts.routing.recovery.enabled:
            yield Finding(
                code="recovery_enabled",
                subject=traffic.recovery.endpoint,
                severity="blocker",
                found=f"The recovery endpoint {traffic.recovery.endpoint} is enabled, and no site is behind it.",
                why="Customers may be sent to an endpoint with no site as soon as the primary misses a probe.",
                fix="Disable it in the portal.",
            )
        if facts.routing.primary.enabled and facts.routing.primary.monitor not in ("Online", "CheckingEndpoint"):
            yield Finding(
                code="primary_not_online",
                subject=traffic.primary.endpoint,
                severity="warning",
                found=f"Traffic Manager reports {traffic.primary.endpoint} as {facts.routing.primary.monitor}.",
                why="Its probe does not pass, so its report of an outage cannot be trusted.",
                fix="Compare the profile's probe (protocol, port, path, host header) with the site.",
            )
    if facts.profile and facts.profile.routing_method != "Priority":
        yield Finding(
            code="routing_method",
            subject=traffic.hostname,
            severity="blocker",
            found=f"The profile routes by {facts.profile.routing_method or 'an unknown method'}, not by priority.",
            why="Customers may be sent to both sites while both endpoints are enabled.",
            fix="Set the profile's routing method to Priority in the portal.",
        )
    if facts.profile and facts.profile.notices_after > GOOD_NOTICE:
        yield Finding(
            code="probe",
            subject=traffic.hostname,
            severity="warning",
            found=f"Traffic Manager calls an endpoint degraded after {facts.profile.notices_after:.0f} s.",
            why="It reports outages late, and its alert is late too.",
            fix="Set the profile's probe to every 10 s, with a time-out of 5 s and 2 tolerated failures.",
        )
    if facts.profile and facts.profile.ttl is not None and facts.profile.ttl > GOOD_TTL:
        yield Finding(
            code="ttl",
            subject=traffic.hostname,
            severity="warning",
            found=f"The TTL of {traffic.hostname} is {facts.profile.ttl} s.",
            why="For that long after the cutover customers are sent to the old site.",
            fix=f"Set it to {GOOD_TTL} s or less; Traffic Manager charges per million queries.",
        )
    for host, leads in sorted(facts.follows.items()):
        if not leads:
            yield Finding(
                code="name",
                subject=host,
                severity="blocker",
                found=f"{host} does not resolve as {traffic.hostname} does.",
                why="Customers of that name would not follow the cutover.",
                fix=f"Make {host} a CNAME of {traffic.hostname}.",
            )


def _rights(plan: RecoveryPlan, facts: ReadinessFacts) -> Iterator[Finding]:
    for place, scope in sorted(places_of(plan).items()):
        if not (lacks := facts.missing_rights.get(place)):
            continue
        yield Finding(
            code="right",
            subject=place,
            severity="blocker",
            found=f"Coldsite's identity may not do this in {take_apart(scope).name}: {', '.join(lacks)}.",
            why="Azure would refuse a step in the middle of a failover.",
            fix=f"`azd up` assigns the role of infra/roles/{place}.json again.",
        )


def _support(plan: RecoveryPlan, facts: ReadinessFacts) -> Iterator[Finding]:
    today = facts.at.date()
    for name, workload in plan.recovery.workloads.items():
        for software in workload.software:
            ends = ENDS[software]
            if ends - today > NOTICE:
                continue
            word = "ended" if ends < today else "ends"
            yield Finding(
                code="support",
                subject=f"{name}/{software}",
                severity="warning",
                found=f"Microsoft's support of {title_of(software)} on {name} {word} on {ends:%Y-%m-%d}.",
                why="Without security updates a machine that is suddenly public is an easy target.",
                fix="Upgrade it at home, then run a drill; or buy extended security updates.",
            )


def _way_home(plan: RecoveryPlan) -> Iterator[Finding]:
    if plan.failback.way == "machines" and not plan.failback.licensed:
        yield Finding(
            code="way_home",
            subject="failback",
            severity="warning",
            found="The plan does not say that the way home is licensed (failback.licensed).",
            why="A reverse job needs licence codes for the recovered servers and target rights at home.",
            fix="Ask your supplier for them, then write licensed: true.",
        )


def _interfaces(plan: RecoveryPlan, active_site: ActiveSite, facts: ReadinessFacts) -> Iterator[Finding]:
    if facts.interfaces is None:
        return
    home = {signal.sql.server for signal in plan.detection.signals.values() if signal.sql and signal.sql.server}
    home |= {server for seen in facts.interfaces.values() for server in seen.dns_servers if _is_near(server, home)}
    for name, workload in plan.recovery.workloads.items():
        for role in ("failover", "drill"):
            nic, wanted = workload.nic.of(role), workload.address.of(role)
            seen = facts.interfaces.get(nic.lower())
            user = take_apart(seen.machine).name if seen and seen.machine else ""
            expected = any(user == machine_name(run, name) for run in facts.kept)
            if active_site == "recovery" and role == "failover":
                expected = True
            yield from _interface(f"{name}/{role}", nic, wanted, seen, "" if expected else user, home)


def _interface(
    subject: str, nic: str, wanted: str, seen: InterfaceView | None, user: str, home: set[str]
) -> Iterator[Finding]:
    name = take_apart(nic).name
    why = "The machine could not be created with its address."
    if seen is None:
        found, fix = (
            f"The interface {name} does not exist.",
            "Create it in the recovery group, with the plan's address.",
        )
        yield Finding(code="interface", subject=subject, severity="blocker", found=found, why=why, fix=fix)
        return
    if seen.address != wanted:
        found = f"The interface {name} has the address {seen.address}; the plan says {wanted}."
        fix = "Correct the plan, or the interface's static address."
        yield Finding(code="address", subject=subject, severity="blocker", found=found, why=why, fix=fix)
    if away := sorted(set(seen.dns_servers) & home):
        found = f"The interface {name} uses DNS servers at the primary site ({', '.join(away)})."
        fix = "Name a resolver that works without the primary site, Azure's own for example."
        why = "Without the primary site the machine could resolve no name."
        yield Finding(code="resolver", subject=subject, severity="warning", found=found, why=why, fix=fix)
    if user:
        found = f"The interface {name} is used by {user}."
        fix = "Delete that machine, or wait until Coldsite has cleaned up."
        yield Finding(code="interface_in_use", subject=subject, severity="blocker", found=found, why=why, fix=fix)


def _is_near(server: str, home: set[str]) -> bool:
    """Whether an address is in the same 256 addresses as one of the primary site's."""
    return any(server.rpartition(".")[0] == address.rpartition(".")[0] for address in home)


def _sizes(plan: RecoveryPlan, active_site: ActiveSite, facts: ReadinessFacts) -> Iterator[Finding]:
    if facts.sizes is None:
        return
    usable: dict[str, list[SizeView]] = {}
    for name, workload in plan.recovery.workloads.items():
        for size in workload.sizes:
            problem = _size_problem(size, workload, facts.sizes.get(size.lower()))
            if problem:
                yield Finding(
                    code="size",
                    subject=f"{name}/{size}",
                    severity="warning",
                    found=problem,
                    why="This step of the ladder would always fail.",
                    fix="Replace it by a size that the region offers to this subscription.",
                )
            else:
                usable.setdefault(name, []).append(facts.sizes[size.lower()])
        if name not in usable:
            yield Finding(
                code="no_size",
                subject=name,
                severity="blocker",
                found=f"None of {name}'s sizes can be used in {plan.recovery.location}.",
                why="The machine could not be created.",
                fix="Add a size that the region offers to this subscription.",
            )
    if facts.quotas is not None and active_site == "primary":
        yield from _quota(usable, facts.quotas)


def _size_problem(size: str, workload: Workload, seen: SizeView | None) -> str | None:
    if seen is None:
        return f"{size} is not offered in the recovery region."
    if seen.restricted:
        return f"{size} is restricted for this subscription: {seen.restricted}."
    if workload.generation not in seen.generations:
        return f"{size} does not boot generation {workload.generation}."
    if workload.storage.startswith("Premium") and not seen.premium:
        return f"{size} does not support Premium disks."
    if len(workload.disks.data) > seen.data_disks:
        return f"{size} takes {seen.data_disks} data disks; the workload has {len(workload.disks.data)}."
    return None


def _quota(usable: dict[str, list[SizeView]], quotas: dict[str, Quota]) -> Iterator[Finding]:
    """The first usable size of every workload together, beside what runs already."""
    needed: dict[str, int] = {}
    for sizes in usable.values():
        needed[sizes[0].family.lower()] = needed.get(sizes[0].family.lower(), 0) + sizes[0].cores
    needed["cores"] = sum(needed.values())
    for family, cores in sorted(needed.items()):
        quota = quotas.get(family)
        if quota and quota.limit - quota.used < cores:
            what = "The region's total" if family == "cores" else f"The family {family}"
            others = family != "cores" and all(len(sizes) > 1 for sizes in usable.values())
            yield Finding(
                code="quota",
                subject=family,
                severity="warning" if others else "blocker",
                found=f"{what} has {quota.limit - quota.used} of {quota.limit} cores left; a failover needs {cores}.",
                why="Azure would refuse the machines in the middle of a failover.",
                fix="Request more cores in the portal: Quotas, Compute.",
            )


def _data(
    plan: RecoveryPlan, active_site: ActiveSite, data_until: datetime | None, facts: ReadinessFacts
) -> Iterator[Finding]:
    if active_site == "primary" and (problem := loss_question(data_until, facts.at, plan.loss_limit, relative="ago")):
        yield Finding(
            code="data",
            subject="replica",
            severity="blocker" if plan.detection.mode == "automatic" else "warning",
            found=problem,
            why="Automatic mode would ask before it moves customers to such data.",
            fix="Check the replication machine and its scripts.",
        )
    rhythm = plan.replication.recovery_points
    if rhythm and facts.points_read:
        newest = facts.newest_point
        if newest is None or facts.at - newest > 2 * rhythm.every:
            age = "There is no recovery point" if newest is None else f"The newest is from {spoken_moment(newest)}"
            yield Finding(
                code="points",
                subject="recovery points",
                severity="warning",
                found=f"{age}; the plan asks for one every {spoken(rhythm.every.total_seconds())}.",
                why="A point from before an attack may be missing.",
                fix="`coldsite` shows why the newest was not taken.",
            )


def _site(plan: RecoveryPlan, active_site: ActiveSite, facts: ReadinessFacts) -> Iterator[Finding]:
    for name in facts.missing_settings:
        yield Finding(
            code="setting",
            subject=name,
            severity="blocker",
            found=f"The app setting {name} is missing or cannot be read.",
            why="Whatever uses this setting would fail.",
            fix="Set it in the app, or correct the vault reference behind it.",
        )
    if active_site == "primary":
        for evidence in facts.evidence:
            if evidence.role == "evidence" and evidence.state == "no_data":
                yield Finding(
                    code="blind_check",
                    subject=evidence.signal,
                    severity="warning",
                    found=f"The check {evidence.signal} has no data: {evidence.detail}.",
                    why="It could not help to confirm an outage.",
                    fix="Correct what its line says; `coldsite check` repeats it.",
                )
        if left := [run for run in facts.standing or [] if run not in facts.kept]:
            yield Finding(
                code="occupied",
                subject="recovery group",
                severity="warning",
                found=f"Resources of {', '.join(left)} are still in the recovery group.",
                why="They may hold interfaces and cores that a failover needs.",
                fix="Wait for the cleanup, or delete them by their tag.",
            )


def _notifications(plan: RecoveryPlan, facts: ReadinessFacts) -> Iterator[Finding]:
    for address in sorted(set(plan.addresses) - set(facts.missing_settings)):
        last = facts.delivered.get(address)
        if last is not None and facts.at - last <= DELIVERY_AGE:
            continue
        yield Finding(
            code="notification",
            subject=address,
            severity="warning",
            found=f"{address} has not accepted a message {'yet' if last is None else f'since {last:%Y-%m-%d}'}.",
            why="A wrong address would only be noticed in an emergency.",
            fix=f"`coldsite notify test {plan.name}` sends one.",
        )


def _drills(facts: ReadinessFacts) -> Iterator[Finding]:
    why, fix = "Only a drill proves that the machines boot and serve.", "`coldsite drill` runs one."
    if facts.last_drill is None:
        found = "No drill has succeeded yet."
    elif facts.at - facts.last_drill > DRILL_AGE:
        found = f"The last successful drill is {spoken((facts.at - facts.last_drill).total_seconds())} old."
    elif not facts.drill_is_of_this_plan:
        found = "The plan's recovery has changed since the last successful drill."
    else:
        return
    yield Finding(code="drill", subject="drill", severity="warning", found=found, why=why, fix=fix)
