"""The administrator's words for phases, outcomes, steps and sites, as every surface shows them."""

from __future__ import annotations

OUTCOMES = {
    "succeeded": "succeeded",
    "stood_down": "false alarm",
    "observed": "observed only",
    "rejected": "rejected",
    "expired": "no approval before the deadline",
    "aborted": "aborted",
    "preempted": "interrupted by another run",
    "failed": "failed",
}
PHASES = {
    "confirming": "checking the primary site",
    "waiting_for_approval": "waiting for your approval",
    "recovering": "building the machines",
    "verifying": "verifying the recovery site",
    "cutting_over": "cutting over",
    "checking_home": "checking home",
    "syncing": "waiting for the copy home",
    "ready": "home is ready",
    "stopping_writes": "stopping the writes in Azure",
    "final_sync": "copying the last changes home",
    "proving_home": "proving home",
    "cutting_back": "moving customers home",
    "watching": "customers are home, watching",
    "needs_operator": "action required",
    "cleaning_up": "cleaning up",
    "completed": "completed",
}
SITES = {"primary": "the primary site", "recovery": "Azure", "both": "both sites", "none": "no site"}
STEPS = {
    "gather_evidence": "check the primary site",
    "fence_source": "stop the source's writes",
    "read_replication": "read the replica's state",
    "read_home_commit": "read the primary's newest change",
    "freeze_replication": "freeze the replica",
    "take_recovery_point": "take a recovery point",
    "thaw_replication": "resume replication",
    "create_disk": "create disks",
    "create_machine": "create the machine",
    "probe_workload": "boot, until healthy",
    "verify_site": "verify the whole site",
    "enable_recovery": "enable the recovery endpoint",
    "disable_primary": "disable the primary endpoint",
    "look_home": "compare both sites",
    "stop_writes": "stop the writes in Azure",
    "final_sync": "copy the last changes home",
    "prove_home": "prove home",
    "enable_primary": "enable the primary endpoint",
    "disable_recovery": "disable the recovery endpoint",
    "check_dns": "wait for DNS",
    "clean_up": "clean up",
}
_OF_A_WORKLOAD = {"create_disk", "create_machine", "probe_workload"}
LOOKS = {"down": "does not answer", "up": "answers", "unclear": "gives no clear answer", "blind": "cannot be seen"}


def step_words(name: str, target: str) -> str:
    """A step in plain words: the workload is named where there may be several."""
    workload = target.split("/")[0] if name in _OF_A_WORKLOAD and target != "all" else ""
    again = " again" if target == "before cutover" else ""
    return f"{STEPS[name]} {workload}".strip() + again
