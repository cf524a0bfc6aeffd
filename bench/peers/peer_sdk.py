"""A script that does one thing after another with Microsoft's SDK."""

from bench.peers.azure_sdk import AzureSdk
from bench.peers.site import Site, say


def main() -> None:
    site = Site.read()
    azure = AzureSdk(site)
    site.wait_for_an_outage()
    say("decided")
    azure.freeze()
    snapshots = {disk["name"]: azure.snapshot(disk) for workload in site.workloads for disk in workload["disks"]}
    for workload in site.workloads:
        azure.machine(workload, [azure.disk(disk, snapshots[disk["name"]]) for disk in workload["disks"]])
    site.wait_until_healthy()
    azure.move_customers()
    say("moved")


if __name__ == "__main__":
    main()
