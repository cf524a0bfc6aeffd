"""Run Command: a script on a machine, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.cloud.arm import Answer, Call, ResourceManager
from lab.cloud.compute import GROUP, VM_API, Compute, status_of
from lab.cloud.errors import ArmError
from lab.cloud.faults import refuse

_LONGEST_SCRIPT = 90 * 60.0
"""Simulated seconds after which Azure ends a script that hangs.

Source: MicrosoftDocs/azure-compute-docs:articles/virtual-machines/windows/run-command.md (90 minutes).
"""


class RunCommand:
    """Runs scripts by ``on_script``, which takes the machine, the script and its parameters, and returns standard
    output and standard error.
    """

    def __init__(self, arm: ResourceManager, compute: Compute) -> None:
        self._arm = arm
        self._compute = compute
        self._running: set[str] = set()
        self.on_script: Callable[[str, str, dict[str, str]], tuple[str, str]] = lambda *_: ("", "no such script")
        arm.model(
            "POST",
            f"{GROUP}/virtualMachines/{{name}}/runCommand",
            "Microsoft.Compute/virtualMachines/runCommand/action",
            VM_API,
            self._run,
        )

    async def _run(self, call: Call) -> Answer:
        """Two values on Windows, StdOut and StdErr.

        Source: Azure/azure-rest-api-specs, Microsoft.Compute, VirtualMachine_RunCommand example.
        """
        path = call.path.rsplit("/", 1)[0]
        machine = self._compute.find(path)
        if call.body.get("commandId") != "RunPowerShellScript":
            raise ArmError(400, "NotSimulated", f"NotSimulated: Run Command {call.body.get('commandId')}.")
        hangs = call.fault is not None and call.fault.error == "hang"
        if call.fault and not hangs:
            raise refuse(call.fault, 1)
        key = path.lower()
        if key in self._running:
            raise ArmError(
                409, "Conflict", "Run command extension execution is in progress. Please wait for completion."
            )
        self._running.add(key)
        script = "\n".join(call.body.get("script", []))
        parameters = {str(parameter["name"]): str(parameter["value"]) for parameter in call.body.get("parameters", [])}

        def complete() -> dict[str, Any] | None:
            self._running.discard(key)
            if hangs:
                return None
            out, err = self.on_script(path, script, parameters)
            streams = (("ComponentStatus/StdOut/succeeded", out), ("ComponentStatus/StdErr/succeeded", err))
            return {"value": [status_of(code, "Info", "Provisioning succeeded", text) for code, text in streams]}

        seconds = _LONGEST_SCRIPT if hangs else self._arm.times.of("run_command", path)
        error = {"code": "VMExtensionProvisioningTimeout", "message": "The script ran too long."} if hangs else None
        operation = self._arm.operations.begin("run command", path, seconds, complete, error)
        version = call.query["api-version"]
        return Answer(202, None, self._arm.operation_headers(operation, machine["location"], version, "operations"))
