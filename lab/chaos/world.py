"""The final state of a story, in terms that two playings of the same story share."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from azure.core.exceptions import ResourceNotFoundError

from lab.twin import Lab

_RUN = re.compile(r"([fdb])\d{12}-[0-9a-f]{4}|([fdb])\d{17}-[0-9a-f]{4}")
_POINT = re.compile(r"(point|thaw)-\S*\d{14,}\S*")


def pattern(name: str) -> str:
    """A name without the parts of a single run: its time and its random end."""
    return _RUN.sub(lambda found: (found[1] or found[2]).upper(), _POINT.sub(r"\1", name))


async def final_state(lab: Lab, report: dict[str, Any]) -> dict[str, Any]:
    """Everything that must be the same with and without a crash."""
    _, plan = await lab.call("GET", f"plans/{lab.plan.name}")
    return {
        "active site": report["active_site"],
        "primary latched": report["primary_latched"],
        "site that Coldsite remembers": plan.get("active_site"),
        "latch that Coldsite remembers": plan.get("primary_latched"),
        "run that holds the plan": plan.get("active_run") and pattern(plan["active_run"]),
        "replica frozen": lab.replication.frozen,
        "seconds served by both sites": report["customers"]["dual_served_seconds"],
        "journal intact": report["journal_intact"],
        "runs": dict(Counter(f"{run['kind']} {run['outcome'] or run['phase']}" for run in report["runs"])),
        "resources": dict(sorted(Counter(_resource(r) for r in lab.compute.resources.values()).items())),
        "steps": await _steps(lab),
        "told": dict.fromkeys(
            sorted({pattern(str(n["title"])) for n in lab.front.notifications if "title" in n}), "told"
        ),
    }


def _resource(resource: dict[str, Any]) -> str:
    kind = resource["type"].split("/")[-1]
    use = " in use" if resource.get("managedBy") else ""
    return f"{kind} {pattern(resource['name'])} {resource['properties']['provisioningState']}{use}"


async def _steps(lab: Lab) -> dict[str, str]:
    """Every step in the history, of runs and of the orchestrations between runs, with its status.

    Without any step, the table does not exist.
    """
    async with lab.tables() as service:
        try:
            rows = [dict(row) async for row in service.get_table_client("ColdsiteSteps").list_entities()]
        except ResourceNotFoundError:
            return {}
    statuses_by_step: dict[str, list[str]] = {}
    for row in rows:
        key = f"{pattern(row['PartitionKey'])} {row['name']} {pattern(row['target'])}".strip()
        statuses_by_step.setdefault(key, []).append(str(row["status"]))
    return {key: ", ".join(sorted(statuses)) for key, statuses in sorted(statuses_by_step.items())}


def differences(state: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """The differences from the reference, one sentence each."""
    now, then = _flat(state), _flat(reference)
    return [
        f"{key}: {then.get(key, 'nothing')} without the crash, {now.get(key, 'nothing')} with it"
        for key in sorted(now.keys() | then.keys())
        if now.get(key) != then.get(key)
    ]


def _flat(state: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in state.items():
        flat |= {f"{key}: {inner}": leaf for inner, leaf in value.items()} if isinstance(value, dict) else {key: value}
    return flat
