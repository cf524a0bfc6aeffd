"""Run Command starts the plan's scripts: on the replication machine, and those of the way home on recovered machines.

A script's contract is one JSON line on standard output. Run Command returns the last 4096 bytes; one command runs at a
time, and a second one gets 409.
Source: MicrosoftDocs/azure-compute-docs:articles/virtual-machines/windows/run-command.md
"""

from __future__ import annotations

from typing import Any

from shared.azure import clients
from shared.azure.operations import refusable, start_operation
from shared.models.operations import Refused, Started
from shared.models.orders import ActOrder, ScriptOrder
from shared.models.resource_ids import take_apart


@refusable
async def start_script(order: ScriptOrder) -> Started | Refused:
    """Starts one script. Scripts may run twice: freezing what is frozen, and thawing what is not, change nothing."""
    return await _start(order.replication.machine, order.replication.script_texts[order.script], {})


@refusable
async def start_act(order: ActOrder) -> Started | Refused:
    """Starts a script of the way home, which is told its action. Scripts may run twice."""
    return await _start(order.machine, order.text, {"Action": order.action})


async def _start(machine: str, script: str, parameters: dict[str, str]) -> Started:
    place = take_apart(machine)
    body: Any = {"commandId": "RunPowerShellScript", "script": script.splitlines()}
    if parameters:
        body["parameters"] = [{"name": name, "value": value} for name, value in parameters.items()]
    client = clients.compute(place.subscription)
    return await start_operation(
        machine,
        lambda keep: client.virtual_machines.begin_run_command(
            place.group, place.name, body, polling=False, raw_response_hook=keep
        ),
    )
