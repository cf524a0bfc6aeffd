"""A script that does everything at once: a thread for each disk and each machine."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.peers.azure_sdk import AzureSdk
from bench.peers.site import Site, say


def main() -> None:
    site = Site.read()
    azure = AzureSdk(site)
    site.wait_for_an_outage()
    say("decided")
    azure.freeze()
    with ThreadPoolExecutor(max_workers=64) as pool:

        def copied(disk: dict[str, Any]) -> str:
            return azure.disk(disk, azure.snapshot(disk))

        copies = {disk["name"]: pool.submit(copied, disk) for w in site.workloads for disk in w["disks"]}

        def recover(workload: dict[str, Any]) -> None:
            azure.machine(workload, [copies[disk["name"]].result() for disk in workload["disks"]])

        for machine in [pool.submit(recover, workload) for workload in site.workloads]:
            machine.result()
    site.wait_until_healthy()
    azure.move_customers()
    say("moved")


if __name__ == "__main__":
    main()
