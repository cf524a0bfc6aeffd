"""`coldsite plan init`: reads a subscription's resources, asks for the rest, and writes a commented plan."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cli.discover import Found, FoundMachine, Interface, Profile, UnclearError, machines_of
from shared.models.errors import PlanError
from shared.models.ids import PLAN_NAME
from shared.models.resource_ids import take_apart
from shared.plans.loader import load_plan

PLANS = Path(__file__).parents[1] / "plans"
MODEL = PLANS / "contoso"
"""Scripts and queries to begin with."""

type Ask = Callable[[str, list[str], str], str]
"""A question, the allowed answers (anything, when empty) and a default."""


def write_plan(name: str, found: Found, ask: Ask, folder: Path = PLANS) -> tuple[Path, dict[str, str]]:
    """Writes ``folder/NAME.yaml`` with its scripts, validates it, and returns it with azd's settings.

    At most eight questions; a single candidate is taken without a question. Existing scripts are kept. Raises
    ``UnclearError`` when something is missing; then nothing is written.
    """
    if not re.fullmatch(PLAN_NAME, name) or len(name) > 40:
        raise UnclearError(
            [f"{name!r} is not a valid plan name: lower-case letters, digits and hyphens, starting with a letter."]
        )
    path = folder / f"{name}.yaml"
    if path.exists():
        raise UnclearError([f"{path} already exists. Choose another name, or move the file."])
    profile = _choose(ask, "Which Traffic Manager profile routes your customers?", {p.id: p for p in found.profiles})
    endpoints = {endpoint.name: endpoint for endpoint in profile.endpoints}
    if len(endpoints) < 2:
        raise UnclearError([f"{profile.id} has no second endpoint. Add one for Azure, disabled, with priority 2."])
    primary = _choose(ask, "Which endpoint is the primary site?", endpoints)
    recovery = next(endpoint for endpoint in profile.endpoints if endpoint is not primary)
    machine_id = _choose(
        ask, "Which machine is the Double-Take machine?", {replica: replica for replica in found.replicas}
    )
    machines = machines_of(found.replicas[machine_id], found.interfaces)
    databases = [machine for machine in machines if machine.is_database]
    answers = {
        "title": ask("What is the name of the business, for display?", [], name.capitalize()),
        "host": ask("Which host name do customers open?", [], profile.host or f"www.{name}.example"),
        "path": ask("Which page says that the site is healthy? It must ask the database.", [], profile.path),
        "database": ask("Which database must be online?", [], "Orders") if databases else "",
        "server": ask("What is the database server's address on the premises?", [], "10.1.0.5") if databases else "",
    }
    group = machines[0].failover.id.partition("/providers/")[0]
    quoted = {key: json.dumps(value, ensure_ascii=False) for key, value in answers.items()}
    text = _text(name, profile, primary.name, recovery.name, machine_id, group, machines, found, quoted)
    beside = folder / name
    brought = [beside / file.name for file in sorted(MODEL.iterdir()) if not (beside / file.name).exists()]
    beside.mkdir(parents=True, exist_ok=True)
    for file in brought:
        shutil.copy2(MODEL / file.name, file)
    path.write_text(text, encoding="utf-8")
    try:
        load_plan(path)
    except PlanError:
        for file in (path, *brought):
            file.unlink()
        if not any(beside.iterdir()):
            beside.rmdir()
        raise
    return path, _for_azd(name, profile, primary, recovery, machine_id, group, machines[0].failover, machines[0].drill)


def _choose[T](ask: Ask, question: str, offered: dict[str, T]) -> T:
    if not offered:
        raise UnclearError([f"{question} There is none in this subscription."])
    names = list(offered)
    return offered[names[0] if len(names) == 1 else ask(question, names, names[0])]


def _for_azd(
    name: str,
    profile: Profile,
    primary: Any,
    recovery: Any,
    machine: str,
    group: str,
    failover: Interface,
    drill: Interface,
) -> dict[str, str]:
    return {
        "COLDSITE_PLAN": name,
        "COLDSITE_RECOVERY_GROUP_NAME": take_apart(group).group,
        "COLDSITE_REPLICA_GROUP_NAME": take_apart(machine).group,
        "COLDSITE_EDGE_GROUP_NAME": take_apart(profile.id).group,
        "COLDSITE_PROFILE_NAME": take_apart(profile.id).name,
        "COLDSITE_PRIMARY_ENDPOINT": primary.name,
        "COLDSITE_PRIMARY_ADDRESS": primary.target,
        "COLDSITE_RECOVERY_ADDRESS": recovery.target,
        "COLDSITE_FAILOVER_NETWORK": failover.network,
        "COLDSITE_DRILL_NETWORK": drill.network,
    }


def _text(
    name: str,
    profile: Profile,
    primary: str,
    recovery: str,
    machine: str,
    group: str,
    machines: list[FoundMachine],
    found: Found,
    answers: dict[str, str],
) -> str:
    types = {endpoint.name: endpoint.type for endpoint in profile.endpoints}
    signal = _SQL_SIGNAL.format(**answers) if any(found_machine.is_database for found_machine in machines) else ""
    return _PLAN.format(
        name=name,
        profile=profile,
        primary=primary,
        primary_type=types[primary],
        recovery=recovery,
        recovery_type=types[recovery],
        machine=machine,
        group=group,
        location=found.locations[machine],
        quorum=2 if signal else 1,
        sql_signal=signal,
        # A probe with a host speaks TLS, and Traffic Manager says which this site speaks.
        site=f"host: {answers['host']}, " if profile.secure else "",
        workloads="".join(_workload(found_machine, machines, answers) for found_machine in machines),
        **answers,
    )


def _workload(machine: FoundMachine, machines: list[FoundMachine], answers: dict[str, str]) -> str:
    database = next((other.name for other in machines if other.is_database), None)
    data = "".join(f"\n          - {{lun: {lun}, disk: {disk.id}}}" for lun, disk in enumerate(machine.data))
    after = f"\n      depends_on: {{{database}: healthy}}" if database and not machine.is_database else ""
    probe = (
        f"- sql: {{database: {answers['database']}, credential: SQL_PROBE}}\n{_MEASURE}"
        if machine.is_database
        else f"- http: {{path: {answers['path']}, expect: {{status: [200]}}}}"
    )
    return _WORKLOAD.format(
        machine=machine,
        os=str(machine.system.system).lower(),
        data=f"\n        data:{data}" if data else "",
        size="D4" if machine.is_database else "D2",
        probe=probe,
        after=after,
    )


_PLAN = """\
# yaml-language-server: $schema=./plan.schema.json
# {title}: written by `coldsite plan init` from the resources in Azure. Read every line.
name: {name}
title: {title}
time_zone: UTC                # of the drill's schedule, for example Europe/Amsterdam
objectives:
  recovery_time: 1h           # the objectives; every run measures the actuals
  recovery_point: 15m

traffic:
  profile: {profile.id}
  hostname: {profile.hostname}   # the target of the customers' host names
  primary: {{endpoint: {primary}, type: {primary_type}}}
  recovery: {{endpoint: {recovery}, type: {recovery_type}}}
  latch_again: true           # after a failover, a primary endpoint enabled by hand is disabled again
  verify:                     # must pass at the recovery site itself before the cutover
    - http: {{connect_to: RECOVERY_PUBLIC_ADDRESS, {site}path: {path}, expect: {{status: [200]}}}}

detection:
  mode: observe               # observe: records decisions only. Next: approve (asks you), then automatic.
  trust: {{drill_within: 90d, observed_for: 14d}}   # until both hold, automatic asks you as well
  quorum: {quorum}                   # how many independent paths must say "unreachable"
  signals:
    public:
      path: public
      http: {{connect_to: PRIMARY_ADDRESS, {site}path: {path}, expect: {{status: [200]}}}}
    traffic:
      path: public
      traffic_manager: {{}}
{sql_signal}    observer:                 # has Coldsite itself lost connectivity?
      role: control
      http: {{connect_to: OBSERVER_ADDRESS, path: /connecttest.txt}}   # Microsoft's own test page
    azure:                    # does Azure report an incident in the recovery region?
      role: recovery
      azure_health: {{}}
    # heartbeat:              # a third path: edit {name}/heartbeat.kql to name your server, then uncomment it
    #   path: agent
    #   logs: {{query: heartbeat.kql, stale_after: 5m}}

replication:
  machine: {machine}
  scripts: {name}
  pause_limit: 5m             # the longest that a drill, a point or a suspicion keeps the replica frozen
  recovery_points: {{every: 1h, keep: 24}}

recovery:
  resource_group: {group}
  location: {location}
  workloads:
{workloads}
drill:
  schedule: 0 0 3 1 1,4,7,10 *   # second minute hour day month weekday: every quarter, at 03:00
  keep_for: 15m

notify:
  - url_setting: NOTIFY_URL
    on: [started, decided, needs_operator, served, finished]
"""

_MEASURE = (
    "        # To measure the age of the data, add a query for the newest change, in UTC:\n"
    '        #   recovery_point_query: "SELECT MAX(ChangedAtUtc) FROM dbo.YOUR_TABLE"'
)

_SQL_SIGNAL = """\
    vpn:
      path: private
      sql: {{server: {server}, database: {database}, credential: SQL_PROBE}}
"""

_WORKLOAD = """\
    {machine.name}:
      os: {os}
      generation: {machine.system.generation}
      license: Windows_Server   # you bring the licence; without this line Azure bills for one
      disks:
        os: {machine.system.id}{data}
      sizes: [Standard_{size}s_v5, Standard_{size}as_v5, Standard_{size}s_v4]   # the first that Azure can allocate
      nic:
        failover: {machine.failover.id}
        drill: {machine.drill.id}
      address: {{failover: {machine.failover.address}, drill: {machine.drill.address}}}
      probes:
        {probe}{after}
"""
