"""The replication machine: Run Command starts the plan's scripts there, and nowhere else.

A script's contract is one JSON line on standard output. Run Command hands back the last 4096 bytes; one command runs at
a time, and a second one gets 409.
Source: MicrosoftDocs/azure-compute-docs:articles/virtual-machines/windows/run-command.md
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from pydantic import ValidationError

from shared.cloud import clients
from shared.cloud.compute import Refused, Started, refusable, start_operation
from shared.cloud.ids import take_apart
from shared.errors import ReplicationError
from shared.plan import Replication, Strict
from shared.runs import Order

ScriptName = Literal["status", "freeze", "thaw", "reverse"]


class ScriptOrder(Order):
    """Run one of the plan's scripts on the replication machine. ``in_name_of``: who froze, if another thaws.

    ``not_after``: an order that comes later than that is refused, since the replica is being thawed by then.
    """

    replication: Replication
    script: ScriptName
    in_name_of: str = ""
    not_after: datetime | None = None


class ReplicaState(Strict):
    """What a script says. ``replicated_until`` is the newest source change that the replica holds."""

    state: Literal["good", "mirroring", "stopped"]
    frozen: bool
    queue_bytes: int = 0
    replicated_until: datetime | None = None
    message: str = ""

    @property
    def usable(self) -> bool:
        """A replica that is mirroring or stopped in mid-write must not be snapshot."""
        return self.state == "good"


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


def read_output(output: list[dict[str, Any]] | None) -> ReplicaState:
    """Reads the last JSON line of a finished script. Raises ``ReplicationError`` with what was printed instead."""
    said = {str(item.get("code", "")): str(item.get("message", "")) for item in output or []}
    stdout = next((text for code, text in said.items() if "StdOut" in code), "")
    stderr = next((text for code, text in said.items() if "StdErr" in code), "").strip()
    lines = [line.strip() for line in stdout.splitlines() if line.strip().startswith("{")]
    try:
        return ReplicaState.model_validate(json.loads(lines[-1]))
    except (IndexError, ValueError, ValidationError) as error:
        heard = (stderr or stdout.strip() or "nothing")[:200]
        raise ReplicationError(
            f"The replication script's last line is not its one JSON line. It said: {heard}"
        ) from error
