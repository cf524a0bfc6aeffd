"""A script of ``az`` commands, one after another, as they stand in many a runbook."""

import json
import os
import shutil
import subprocess
import tempfile
from typing import Any

from bench.peers.site import Site, say

API = "2024-07-01"


def properties(site: Site, workload: dict[str, Any], disks: list[str]) -> dict[str, Any]:
    """A machine of these disks. ``az vm create`` would wrap the same order into a deployment of a template."""
    place = f"/subscriptions/{site.subscription}/resourceGroups/{site.group}/providers/Microsoft.Compute/disks"
    system, *data = ({"createOption": "Attach", "managedDisk": {"id": f"{place}/{disk}"}} for disk in disks)
    return {
        "hardwareProfile": {"vmSize": workload["size"]},
        "storageProfile": {
            "osDisk": system | {"osType": "Windows"},
            "dataDisks": [disk | {"lun": lun} for lun, disk in enumerate(data)],
        },
        "networkProfile": {"networkInterfaces": [{"id": workload["nic"], "properties": {"primary": True}}]},
    }


def main() -> None:
    site = Site.read()
    az = shutil.which("az")
    if az is None:
        raise SystemExit("There is no az on the PATH: install Azure's command line (azure-cli).")
    with tempfile.TemporaryDirectory() as settings:
        environment = os.environ | {"AZURE_CONFIG_DIR": settings, "AZURE_CORE_COLLECT_TELEMETRY": "no"}

        def run(*words: str) -> None:
            subprocess.run([az, *words, "--output", "none"], env=environment, check=True)

        run("cloud", "register", "--name", "site", "--endpoint-resource-manager", site.resource_manager)
        run("cloud", "set", "--name", "site")
        run("login", "--identity")
        site.wait_for_an_outage()
        say("decided")
        group, machine = site.replica_group, site.replica_machine
        command = ("--command-id", "RunPowerShellScript", "--scripts", site.freeze)
        run("vm", "run-command", "invoke", "-g", group, "-n", machine, *command)
        for workload in site.workloads:
            disks = []
            for disk in workload["disks"]:
                snapshot, copy = f"{disk['name']}-snap", f"{disk['name']}-disk"
                place = ("-g", site.group, "--location", site.location)
                run("snapshot", "create", *place, "-n", snapshot, "--source", disk["id"], "--incremental", "true")
                kind = ("--os-type", "Windows", "--hyper-v-generation", "V2") if disk["os"] else ()
                run("disk", "create", *place, "-n", copy, "--source", snapshot, "--sku", "Premium_LRS", *kind)
                disks.append(copy)
            machine = {"location": site.location, "properties": properties(site, workload, disks)}
            name = f"{workload['name']}-recovered"
            compute = f"/subscriptions/{site.subscription}/resourceGroups/{site.group}/providers/Microsoft.Compute"
            url = f"{site.resource_manager}{compute}/virtualMachines/{name}?api-version={API}"
            order = ("--resource", site.scope.removesuffix("/.default"), "--body", json.dumps(machine))
            run("rest", "--method", "put", "--url", url, *order)
            run("vm", "wait", "-g", site.group, "-n", name, "--created")
        site.wait_until_healthy()
        traffic = site.traffic
        profile = ("-g", traffic["group"], "--profile-name", traffic["profile"], "--type", traffic["type"])
        for which, status in (("recovery", "Enabled"), ("primary", "Disabled")):
            run(
                *("network", "traffic-manager", "endpoint", "update", *profile),
                *("-n", traffic[which], "--endpoint-status", status),
            )
    say("moved")


if __name__ == "__main__":
    main()
