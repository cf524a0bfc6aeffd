"""The replication machine: Run Command starts the plan's scripts there, and nowhere else.

A script's contract is one JSON line on standard output. Run Command returns the last 4096 bytes; one command runs at a
time, and a second one gets 409.
Source: MicrosoftDocs/azure-compute-docs:articles/virtual-machines/windows/run-command.md
"""

from __future__ import annotations

from typing import Any

from shared.azure import clients
from shared.azure.operations import refusable, start_operation
from shared.models.operations import Refused, Started
from shared.models.orders import ScriptOrder
from shared.models.resource_ids import take_apart


@refusable
async def start_script(order: ScriptOrder) -> Started | Refused:
    """Starts one script. Scripts may run twice: freezing what is frozen, and thawing what is not, change nothing."""
    machine = order.replication.machine
    place = take_apart(machine)
    body: Any = {
        "commandId": "RunPowerShellScript",
        "script": order.replication.script_texts[order.script].splitlines(),
    }
    client = clients.compute(place.subscription)
    return await start_operation(
        machine,
        lambda keep: client.virtual_machines.begin_run_command(
            place.group, place.name, body, polling=False, raw_response_hook=keep
        ),
    )
