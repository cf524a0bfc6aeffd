"""Azure's faults, each as a story: it ends in success, or a notification says what to do and a person acts on it."""

from __future__ import annotations

from typing import Any

from lab.chaos.stories import DIES
from lab.chaos.story import Chapter, Story

SERVED: dict[str, Any] = {
    "active_site": "recovery",
    "primary_latched": True,
    "runs": {"failover": {"succeeded": 1}},
    "customers": {"dual_served_seconds": 0},
    "resources_left": [],
    "journal_intact": True,
}
CLEARED: dict[str, Any] = {
    "active_site": "primary",
    "primary_latched": False,
    "runs": {"failover": {"aborted": 1}},
    "steps": {"enable_recovery": "absent", "thaw_replication": "succeeded"},
    "resources_left": [],
    "journal_intact": True,
}
DRILLED = CLEARED | {"runs": {"drill": {"succeeded": 1}}}

_EVENTS = tuple[dict[str, Any], ...]
DRILL: _EVENTS = ({"at": "5s", "do": "operator.drill"},)
RETRY: dict[str, Any] = {"at": "2s", "do": "operator.retry", "reason": "fixed", "answer": 202}
ABORT: dict[str, Any] = {"at": "2s", "do": "operator.abort", "reason": "clean up", "answer": 202}


def fault(operation: str, error: str, times: int = 1, **more: Any) -> dict[str, Any]:
    return {"at": "0s", "do": "arm.fault", "operation": operation, "error": error, "times": times} | more


def goes_on(name: str, about: str, *events: dict[str, Any], calls: dict[str, int] | None = None, **more: Any) -> Story:
    """The failover succeeds by itself; ``calls`` counts the requests to Azure."""
    counted = {"arm_calls": {"by_operation": calls}} if calls else {}
    return Story(name, about, (*events, *DIES), expect=SERVED | counted, **more)


def drills(name: str, about: str, *events: dict[str, Any], **more: Any) -> Story:
    """The drill succeeds by itself and leaves nothing behind."""
    return Story(name, about, (*events, *DRILL), expect=DRILLED, **more)


def retried(name: str, about: str, *events: dict[str, Any], says: str, repair: _EVENTS = (), **more: Any) -> Story:
    """The run asks with ``says``; the fault is fixed and the run retried; then it succeeds."""
    chapters = (Chapter((*repair, RETRY), says=says),)
    return Story(name, f"{about} A person retries.", (*events, *DIES), chapters=chapters, expect=SERVED, **more)


def asks(name: str, about: str, *events: dict[str, Any], says: str, repair: _EVENTS = ()) -> tuple[Story, Story]:
    """The run asks with ``says``. The fault is fixed and the run retried, or the run is aborted and cleaned up."""
    aborted = Story(
        f"{name}-aborted",
        f"{about} A person aborts.",
        (*events, *DIES),
        chapters=(Chapter((ABORT,), says=says),),
        expect=CLEARED,
    )
    return retried(f"{name}-retried", about, *events, says=says, repair=repair), aborted


_SUSPECT = {"at": "0s", "do": "sql.state", "target": "recovery/sql", "state": "SUSPECT"}
_PENDING = _SUSPECT | {"state": "RECOVERY_PENDING"}
_ONLINE = _SUSPECT | {"state": "ONLINE"}
_WRONG_PAGE = {"at": "0s", "do": "site.respond", "target": "recovery/iis", "status": 200, "body": "Under construction"}
_RIGHT_PAGE = {"at": "0s", "do": "site.respond", "target": "recovery/iis", "status": 0}
_SIZES = ("Standard_D4s_v5", "Standard_D4as_v5", "Standard_D4s_v4")
_ZONES = {"recovery": {"workloads": {"sql": {"zones": ["1", "2"]}}}}
_TOO_LATE: dict[str, Any] = {"at": "0s", "do": "operator.abort", "reason": "too late", "answer": 409}
_PATCH = "PATCH externalEndpoints"
_VM = "PUT virtualMachines"

STORIES = {
    story.name: story
    for story in (
        # Throttling, storms, broken connections
        goes_on(
            "throttled-machine",
            "A machine's order is answered 429 with Retry-After 20 minutes; Coldsite does not wait that long.",
            fault(_VM, "429", 2, retry_after="20m"),
        ),
        goes_on(
            "throttled-freeze-and-set",
            "Run Command and the snapshots are throttled for hours.",
            fault("POST runCommand", "429", 1, retry_after="2h"),
            fault("PUT snapshots", "429", 3, retry_after="2h"),
            fault("PUT disks", "429", 2, retry_after="2h"),
        ),
        goes_on("throttled-cutover", "Traffic Manager throttles.", fault(_PATCH, "429", 3, retry_after="1h")),
        drills(
            "throttled-drill",
            "A drill's removal is throttled.",
            fault("DELETE virtualMachines", "429", 2, retry_after="1h"),
            fault("DELETE disks", "429", 2, retry_after="1h"),
            fault("DELETE snapshots", "429", 2, retry_after="1h"),
        ),
        goes_on("storm-on-put", "Azure answers 503 to a dozen machine orders.", fault(_VM, "503", 12)),
        goes_on(
            "storm-on-disks",
            "Azure answers 500 to disks and snapshots.",
            *(fault(f"PUT {kind}", "500", 9) for kind in ("disks", "snapshots")),
        ),
        goes_on("storm-on-patch", "Azure answers 503 to ten orders of the cutover.", fault(_PATCH, "503", 10)),
        drills(
            "storm-on-delete",
            "A drill's removal meets 500s.",
            *(fault(f"DELETE {kind}", "500", 5) for kind in ("disks", "virtualMachines")),
        ),
        goes_on(
            "resets",
            "Connections break off before anything is done.",
            *(fault(f"PUT {kind}", "reset", 5) for kind in ("snapshots", "disks", "virtualMachines")),
            fault("POST runCommand", "reset", 5),
            fault("GET operations", "reset", 5),
            fault(_PATCH, "reset", 5),
        ),
        goes_on(
            "answers-lost",
            "Azure carries out the order, and its answer is lost.",
            *(fault(f"PUT {kind}", "lost", 2) for kind in ("snapshots", "disks", "virtualMachines")),
            fault("POST runCommand", "lost", 1),
            fault(_PATCH, "lost", 2),
        ),
        drills(
            "resets-in-drill",
            "Connections break off in a drill, while it builds and while it cleans up.",
            *(fault(f"PUT {kind}", "reset", 5) for kind in ("snapshots", "disks", "virtualMachines")),
            *(fault(f"DELETE {kind}", "lost", 2) for kind in ("snapshots", "disks", "virtualMachines")),
        ),
        # Operations that never end; on retry they are started again
        *asks("machine-hangs", "A machine stays in Creating.", fault(_VM, "hang"), says="in time"),
        *asks("snapshot-hangs", "A snapshot never ends.", fault("PUT snapshots", "hang"), says="too long"),
        *asks("disk-hangs", "A disk never ends.", fault("PUT disks", "hang"), says="too long"),
        # Capacity and quota
        goes_on(
            "allocation-failed",
            "The region is out of a size; the next is taken.",
            fault(_VM, "AllocationFailed", size=_SIZES[0]),
            calls={_VM: 3},
        ),
        goes_on(
            "sku-not-available",
            "Azure refuses a size at once; the next is taken.",
            fault(_VM, "SkuNotAvailable", size=_SIZES[0]),
        ),
        goes_on(
            "next-zone",
            "A zone is out of every size; disks and machine are rebuilt from the set in the next zone.",
            *(fault(_VM, "ZonalAllocationFailed", size=size) for size in _SIZES),
            overrides=_ZONES,
            calls={"PUT disks": 5, "PUT snapshots": 3},
        ),
        *asks(
            "no-size-at-all",
            "No size is available.",
            *(fault(_VM, "AllocationFailed", size=size) for size in _SIZES),
            says="No size for sql",
        ),
        Story(
            "nic-reserved",
            "After failed creates the interface is reserved for the old machine; the next run waits for it.",
            (*(fault(_VM, "AllocationFailed", size=size) for size in _SIZES), *DIES),
            chapters=(
                Chapter((ABORT,), says="No size for sql"),
                Chapter(({"at": "0s", "do": "operator.failover", "reason": "again", "answer": 202},)),
            ),
            expect=SERVED | {"runs": {"failover": {"aborted": 1, "succeeded": 1}}},
            times={"nic_reserved": 240.0},
        ),
        drills("drill-next-size", "A drill, too, takes the next size.", fault(_VM, "AllocationFailed", size=_SIZES[0])),
        Story(
            "drill-asks-aborted",
            "A drill finds no size at all; a person is notified and ends it, and nothing is left behind.",
            (*(fault(_VM, "AllocationFailed", size=size) for size in _SIZES), *DRILL),
            chapters=(Chapter((ABORT,), says="No size for sql"),),
            expect=DRILLED | {"runs": {"drill": {"aborted": 1}}},
        ),
        Story(
            "drill-asks-retried",
            "A drill finds no size at all; later there is one, and it continues.",
            (*(fault(_VM, "AllocationFailed", size=size) for size in _SIZES), *DRILL),
            chapters=(Chapter((RETRY,), says="No size for sql"),),
            expect=DRILLED | {"runs": {"drill": {"succeeded": 1}}},
        ),
        goes_on(
            "quota-of-a-family",
            "A family's quota is used up; the next family is taken.",
            fault(_VM, "QuotaExceeded", size=_SIZES[0]),
        ),
        *asks("quota-used-up", "Every family's quota is used up.", fault(_VM, "QuotaExceeded", 6), says="quota"),
        *asks(
            "quota-in-other-words", "Quota, as OperationNotAllowed.", fault(_VM, "OperationNotAllowed", 6), says="quota"
        ),
        *asks("nic-in-use", "An unknown machine holds the interface.", fault(_VM, "NicInUse", 4), says="NicInUse"),
        *asks(
            "disk-in-use",
            "An unknown machine holds the disk.",
            fault(_VM, "ConflictingUserInput", 4),
            says="ConflictingUserInput",
        ),
        # The recovered machines
        goes_on(
            "sql-recovers-slowly",
            "SQL Server recovers its database for minutes; the run waits for it.",
            times={"sql_recovering": 120.0},
        ),
        *asks("sql-suspect", "The database is SUSPECT.", _SUSPECT, says="SUSPECT", repair=(_ONLINE,)),
        *asks(
            "sql-recovery-pending",
            "The database waits for its files.",
            _PENDING,
            says="RECOVERY_PENDING",
            repair=(_ONLINE,),
        ),
        *asks("wrong-page", "IIS answers 200 with the wrong page.", _WRONG_PAGE, says="iis", repair=(_RIGHT_PAGE,)),
        # The cutover
        goes_on(
            "half-a-cutover",
            "Traffic Manager fails after recovery was enabled and before the primary is disabled; the run insists.",
            fault(_PATCH, "503", 9, skip=1),
        ),
        retried(
            "half-a-cutover-retried",
            "Traffic Manager fails between the two halves for longer than an operation may take.",
            fault(_PATCH, "500", 100000, skip=1),
            says="could not be disabled",
            repair=(_TOO_LATE, {"at": "1s", "do": "arm.heal"}),
        ),
        retried(
            "read-back-disagrees",
            "Traffic Manager accepts an order and changes nothing; the read-back shows it.",
            fault(_PATCH, "ignored", 2, skip=1),
            says="does not show the ordered state",
            repair=(_TOO_LATE,),
        ),
        retried(
            "first-half-refused-retried",
            "Traffic Manager refuses the first half, so traffic is unchanged.",
            fault(_PATCH, "ScopeLocked", 1000),
            says="traffic is unchanged",
            repair=({"at": "0s", "do": "arm.heal"},),
        ),
        Story(
            "first-half-refused-aborted",
            "Traffic Manager refuses the first half, so traffic is unchanged, and a person ends the run.",
            (fault(_PATCH, "ScopeLocked", 1000), *DIES),
            chapters=(Chapter((ABORT,), says="traffic is unchanged"),),
            expect=CLEARED | {"steps": {"enable_recovery": "failed", "disable_primary": "absent"}},
        ),
        # What Coldsite itself stands on
        goes_on(
            "storage-away",
            "The history's storage is unavailable for two minutes in mid-run.",
            {"at": "100s", "do": "storage.stop"},
            {"at": "220s", "do": "storage.start"},
        ),
        drills(
            "storage-away-in-drill",
            "The history's storage is unavailable for a minute while the replica is frozen.",
            {"at": "12s", "do": "storage.stop"},
            {"at": "72s", "do": "storage.start"},
        ),
        goes_on(
            "worker-away",
            "The worker is gone for a minute in mid-run.",
            {"at": "100s", "do": "worker.kill", "when": "now", "for": "60s"},
        ),
        drills(
            "worker-away-in-drill",
            "The worker is gone for a minute while the replica is frozen.",
            {"at": "14s", "do": "worker.kill", "when": "now", "for": "60s"},
        ),
    )
}
