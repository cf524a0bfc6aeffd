"""Coldsite beside the scripts that people write instead: the same simulated Azure and the same outage.

Each contestant gets a lab of its own. The times are what customers saw, in simulated seconds. What a program computes
takes real time, so a high speed counts it many times over, for every contestant. A race on a machine that was too busy
says so, and its times are not to be believed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.actions import Actions
from lab.cloud.times import Times
from lab.options import LabOptions
from lab.processor_wait import BUSY
from lab.report import orders_lost
from lab.scenario import PROJECT, Event
from lab.site import world
from lab.twin import Lab
from shared.models.durations import spoken
from shared.models.plan import RecoveryPlan
from shared.models.resource_ids import take_apart
from shared.plans.loader import load_plan

PLAN = PROJECT / "plans" / "contoso.yaml"
OUTAGE_AT = 10.0
LONGEST = 1500.0
"""Simulated seconds after which a contestant that has not moved the customers has lost."""

SDK_POLLING, QUICK_POLLING = 30.0, 5.0
_AFTERWARDS = 120.0
"""Simulated seconds that customers are watched after a contestant has ended."""


@dataclass(frozen=True)
class Contestant:
    """``script`` is a module of ``bench/peers``; None is Coldsite."""

    name: str
    script: str | None = None
    polling: float = SDK_POLLING


COLDSITE = Contestant("Coldsite")
CONTESTANTS = [
    COLDSITE,
    Contestant("script, all at once", "peer_parallel"),
    Contestant("script, all at once, 5 s polling", "peer_parallel", QUICK_POLLING),
    Contestant("script, one by one", "peer_sdk"),
]
AZ = Contestant("az commands", "peer_cli")
CLI_SPEED = 1.0
"""az starts and polls in real seconds, so its race takes as long as it would take."""


@dataclass(frozen=True)
class RaceSituation:
    """What happens besides the outage: events of a scenario."""

    name: str
    events: list[dict[str, Any]] = field(default_factory=list)


ORDINARY = RaceSituation("the site dies")
SITUATIONS = [
    ORDINARY,
    RaceSituation(
        "no capacity for the first size",
        [
            {
                "at": "0s",
                "do": "arm.fault",
                "operation": "PUT virtualMachines",
                "error": "AllocationFailed",
                "size": "Standard_D4s_v5",
                "times": 99,
            }
        ],
    ),
    RaceSituation(
        "SQL Server comes up SUSPECT", [{"at": "0s", "do": "sql.state", "target": "recovery/sql", "state": "SUSPECT"}]
    ),
    RaceSituation("the primary is back after 6 minutes", [{"at": "370s", "do": "site.start", "target": "primary"}]),
]


@dataclass
class RaceResult:
    """One contestant in one lab, in simulated seconds; ``served`` is whether customers were served in the end."""

    dark: float
    served: bool
    decided_to_moved: float | None
    orders_lost: int
    calls: int
    both_enabled: float
    ended: str
    processor_wait: float
    floor: float


async def race(
    contestant: Contestant, situation: RaceSituation, plan: RecoveryPlan, speed: float, seed: int
) -> RaceResult:
    """Lets the primary die and waits until the contestant has moved the customers, asks, or gives up."""
    speed = CLI_SPEED if contestant.script == "peer_cli" else speed
    options = LabOptions(speed=speed, times=Times(seed=seed), customers_every=2.0)
    async with Lab(plan, PLAN, options) as lab:
        if contestant.script:
            await lab.functions.stop()
        actions = Actions(lab, PROJECT)
        endpoints = _Endpoints(lab)
        watching = [asyncio.create_task(endpoints.watch()), asyncio.create_task(_events(lab, actions, situation))]
        try:
            moments, ended = await (_script(lab, contestant) if contestant.script else _coldsite(lab))
            await lab.clock.sleep(_AFTERWARDS)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
        tally = lab.customers.tally
        moved = endpoints.recovery_enabled is not None
        decided = moments.get("decided")
        return RaceResult(
            dark=tally.dark_seconds(lab.clock.now),
            served=lab.clock.now - tally.last_answer < _AFTERWARDS / 2,
            decided_to_moved=endpoints.recovery_enabled - decided if endpoints.recovery_enabled and decided else None,
            orders_lost=orders_lost(lab, "recovery" if moved else "primary"),
            calls=sum(lab.arm.calls.values()),
            both_enabled=endpoints.both_enabled,
            ended=ended,
            processor_wait=lab.processor_wait.worst,
            floor=_floor(lab, plan, endpoints) if moved else 0.0,
        )


async def _events(lab: Lab, actions: Actions, situation: RaceSituation) -> None:
    """The outage and what else happens."""
    outage = {"at": f"{OUTAGE_AT:g}s", "do": "site.stop", "target": "primary"}
    events = [Event.model_validate(raw) for raw in [*situation.events, outage]]
    for event in sorted(events, key=lambda event: event.at):
        await lab.clock.until(event.at.total_seconds())
        await actions.perform(event)


class _Endpoints:
    """When Traffic Manager noticed, when the recovery endpoint was enabled, and how long both were."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.degraded: float | None = None
        self.recovery_enabled: float | None = None
        self.both_enabled = 0.0

    async def watch(self) -> None:
        traffic, names = self._lab.traffic, self._lab.plan.traffic
        primary = traffic.endpoints[names.primary.endpoint.lower()]
        recovery = traffic.endpoints[names.recovery.endpoint.lower()]
        before = self._lab.clock.now
        while True:
            await asyncio.sleep(0.02)
            now = self._lab.clock.now
            if primary.monitor == "Degraded" and self.degraded is None:
                self.degraded = now
            if recovery.enabled and self.recovery_enabled is None:
                self.recovery_enabled = now
            if recovery.enabled and primary.enabled:
                self.both_enabled += now - before
            before = now


async def _coldsite(lab: Lab) -> tuple[dict[str, float], str]:
    while lab.clock.now < LONGEST:
        await asyncio.sleep(0.5)
        _, body = await lab.call("GET", "runs?limit=1&kind=failover")
        run = next(iter(body.get("runs", [])), None)
        if run and (run["outcome"] or run["waiting_for"]):
            _, detail = await lab.call("GET", f"runs/{run['run_id']}")
            decided = [step["started_at"] for step in detail["steps"] if step["target"].startswith("decided/")]
            moments = {"decided": lab.clock.at(datetime.fromisoformat(decided[0]))} if decided else {}
            return moments, "customers moved" if run["outcome"] == "succeeded" else f"asks: {run['waiting_for']}"
    return {}, "still at work"


async def _script(lab: Lab, contestant: Contestant) -> tuple[dict[str, float], str]:
    site = lab.folder / "site.json"
    site.write_text(json.dumps(_site(lab, contestant.polling)))
    environment = os.environ | {
        "IDENTITY_ENDPOINT": lab.front.identity_url,
        "IDENTITY_HEADER": lab.identity.header,
        "AZURE_TOKEN_CREDENTIALS": "ManagedIdentityCredential",
        "REQUESTS_CA_BUNDLE": str(lab.ca_bundle),
        "SSL_CERT_FILE": str(lab.ca_bundle),
        "PYTHONPATH": str(PROJECT),
        "NO_PROXY": "127.0.0.1",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"bench.peers.{contestant.script}", str(site)),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(), lab.clock.real(LONGEST))
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return {}, "still at work"
    progress = [json.loads(line) for line in out.decode().splitlines() if line.startswith("{")]
    zero = time.time() - lab.clock.now / lab.clock.speed
    moments = {report["moment"]: (report["at"] - zero) * lab.clock.speed for report in progress}
    if process.returncode == 0:
        return moments, "customers moved"
    lines = [line for line in err.decode().splitlines() if line.strip()]
    last = next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no word")
    if "NotSimulated" in last:
        raise RuntimeError(f"The lab does not know what {contestant.name} asked: {last}")
    return moments, f"ended with an error: {last[:120]}"


def _site(lab: Lab, polling: float) -> dict[str, Any]:
    """What an administrator would write at the top of a script."""
    plan = lab.plan
    recovery, traffic = plan.recovery, take_apart(plan.traffic.profile)
    group, machine = take_apart(recovery.resource_group), take_apart(plan.replication.machine)
    workloads = [
        {
            "name": name,
            "size": workload.sizes[0],
            "nic": workload.nic.failover,
            "disks": [
                {"name": f"{name}-{label}", "id": disk, "os": label == "os"}
                for label, disk in plan.workload_disks(name)
            ],
        }
        for name, workload in recovery.workloads.items()
    ]
    page = plan.traffic.verify[0].http
    assert page is not None
    return {
        "speed": lab.clock.speed,
        "polling": polling,
        "resource_manager": lab.front.url,
        "scope": "https://management.azure.com/.default",
        "ca": str(lab.ca_bundle),
        "subscription": group.subscription,
        "group": group.group,
        "location": recovery.location,
        "replica_group": machine.group,
        "replica_machine": machine.name,
        "freeze": plan.replication.script_texts["freeze"],
        "workloads": workloads,
        "host": page.host,
        "path": page.path,
        "primary": f"{world.PRIMARY_PUBLIC}:{lab.ports.https}",
        "recovery": f"{world.RECOVERY_PUBLIC}:{lab.ports.https}",
        "traffic": {
            "group": traffic.group,
            "profile": traffic.name,
            "type": plan.traffic.primary.type,
            "primary": plan.traffic.primary.endpoint,
            "recovery": plan.traffic.recovery.endpoint,
        },
    }


def _floor(lab: Lab, plan: RecoveryPlan, endpoints: _Endpoints) -> float:
    """What Coldsite cannot shorten: Traffic Manager's notice, the plan's confirmation, the slowest machine, the two
    orders to Traffic Manager and its name servers. Name servers of customers come on top, for up to the TTL. A script
    that confirms for a shorter time, or not at all, has a lower one.
    """
    machines = {o.resource.lower(): o for o in lab.arm.operations.all.values() if o.kind == "machine" and o.end}
    boots: dict[str, float] = {key.partition("/")[2]: end - start for key, start, end in lab.sites.boot_log}
    slowest = 0.0
    for name in plan.recovery.workloads:
        made = [o.end - o.start for path, o in machines.items() if path.split("/")[-1].startswith(f"{name}-") and o.end]
        slowest = max(slowest, max(made, default=0.0) + boots.get(name, 0.0))
    names = plan.traffic.primary.endpoint, plan.traffic.recovery.endpoint
    orders = sum(lab.options.times.of("endpoint_update", name) for name in names)
    noticed = (endpoints.degraded or OUTAGE_AT) - OUTAGE_AT
    return noticed + plan.detection.confirm_for.total_seconds() + slowest + orders + lab.options.times.dns_push


async def _all(
    situations: list[RaceSituation], contestants: list[Contestant], speed: float, times: int, out: Console
) -> dict[str, dict[str, list[RaceResult]]]:
    plan, found = load_plan(PLAN), dict[str, dict[str, list[RaceResult]]]()
    for situation in situations:
        for contestant in contestants:
            again = times if situation is ORDINARY else 1
            for seed in range(1, again + 1):
                result = await race(contestant, situation, plan, speed, seed)
                found.setdefault(situation.name, {}).setdefault(contestant.name, []).append(result)
                out.print(f"{situation.name}: {contestant.name}: dark {result.dark:.0f} s; {result.ended}", style="dim")
    return found


def show(found: dict[str, dict[str, list[RaceResult]]], out: Console) -> None:
    """One table for each situation."""
    for situation, by_name in found.items():
        table = Table(title=f"When {situation}", title_justify="left", box=None, padding=(0, 2))
        for heading in ("", "dark", "decided to moved", "orders lost", "calls to Azure", "both open", "ends"):
            table.add_column(heading, justify="left" if heading in ("", "ends") else "right")
        for name, results in by_name.items():
            middle = statistics.median(result.dark for result in results)
            decided = [result.decided_to_moved for result in results if result.decided_to_moved is not None]
            table.add_row(
                name,
                f"{middle:.0f} s" if all(result.served for result in results) else "still dark",
                f"{statistics.median(decided):.0f} s" if decided else "-",
                str(max(result.orders_lost for result in results)),
                f"{statistics.median(result.calls for result in results):.0f}",
                f"{max(result.both_enabled for result in results):.0f} s",
                "; ".join(sorted({result.ended[:70] for result in results})),
            )
        out.print(table)
        if busy := [
            name for name, results in by_name.items() if max(result.processor_wait for result in results) >= BUSY
        ]:
            out.print(f"The machine was busy, so do not believe these times: {', '.join(busy)}.", style="red")
        floors = [result.floor for result in by_name.get(COLDSITE.name, []) if result.floor]
        if floors:
            floor = statistics.median(floors)
            out.print(f"The floor of a careful failover, from the lab's own times: {floor:.0f} s ({spoken(floor)}).")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--times", type=int, default=3, help="how often each contestant runs the ordinary outage")
    parser.add_argument("--only", nargs="*", default=[], metavar="WORD", help="contestants whose name contains a word")
    parser.add_argument("--az", action="store_true", help="the az commands alone, once, in real time")
    parser.add_argument("--ordinary", action="store_true", help="the ordinary outage alone")
    arguments = parser.parse_args()
    logging.getLogger().setLevel(logging.CRITICAL)
    chosen = [
        contestant
        for contestant in CONTESTANTS
        if not arguments.only or any(word in contestant.name for word in arguments.only)
    ]
    out = Console(width=150)
    situations = [ORDINARY] if arguments.ordinary or arguments.az else SITUATIONS
    contestants, times = ([AZ], 1) if arguments.az else (chosen, arguments.times)
    show(asyncio.run(_all(situations, contestants, arguments.speed, times, out)), out)


if __name__ == "__main__":
    main()
