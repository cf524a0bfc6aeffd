"""A script of ``az`` commands, one after another, as they stand in many a runbook."""

import os
import shutil
import subprocess
import tempfile

from bench.peers.site import Site, say


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
            system, *data = disks
            attached = ("--attach-data-disks", *data) if data else ()
            run(
                *("vm", "create", "-g", site.group, "-n", f"{workload['name']}-recovered", "--location", site.location),
                *("--size", workload["size"], "--nics", workload["nic"], "--os-type", "Windows"),
                *("--attach-os-disk", system, *attached),
            )
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
