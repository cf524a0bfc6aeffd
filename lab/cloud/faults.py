"""Declared faults: what goes wrong, for which operation, how often."""

from __future__ import annotations

from dataclasses import dataclass

from lab.cloud.errors import ArmError


@dataclass
class Fault:
    """``operation`` is a method and a resource type or action, for example ``PUT virtualMachines``.

    ``error`` is a code of Azure, ``429``, ``500``, ``hang``, ``reset`` (the connection breaks off before anything is
    done), ``lost`` (it is done, and the connection breaks off before the answer) or ``ignored`` (Traffic Manager
    accepts it and changes nothing). With ``size`` only machines of that size are hit. The first ``skip`` matches pass.
    """

    operation: str
    error: str
    size: str | None = None
    times: int = 1
    skip: int = 0
    retry_after: float = 30.0
    status: int = 409
    message: str = ""
    """With a message the fault is Azure's own: ``error`` is its code. ``later`` means that Azure accepts the order and
    fails it afterwards."""
    later: bool = False

    def fits(self, method: str, words: set[str], size: str | None) -> bool:
        wanted_method, _, wanted = self.operation.partition(" ")
        return (
            self.times > 0
            and wanted_method.upper() == method
            and wanted.split("/")[-1].lower() in words
            and (self.size is None or self.size == size)
        )


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def clear(self) -> None:
        """Removes all declared faults."""
        self._faults.clear()

    def take(self, method: str, words: set[str], size: str | None) -> Fault | None:
        """The first matching fault, used up by one."""
        for fault in self._faults:
            if fault.fits(method, words, size):
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None


ASYNCHRONOUS = {"AllocationFailed", "ZonalAllocationFailed", "OverconstrainedAllocationRequest"}
"""Azure accepts the PUT and fails the operation; the failed machine stays."""
STARTS_LATER = {"VMStartTimedOut", "OSProvisioningTimedOut"}
"""Azure fails the operation and reports that the machine may still start, which it does here."""

_FULL = "Allocation failed. We do not have sufficient capacity for the requested VM size in this"
_QUOTA = "Operation could not be completed as it results in exceeding approved"
MESSAGES = {
    "AllocationFailed": f"{_FULL} region.",
    "ZonalAllocationFailed": f"{_FULL} zone.",
    "OverconstrainedAllocationRequest": "Allocation failed. The request's constraints leave too few places here.",
    "SkuNotAvailable": "The requested VM size is currently not available in this location.",
    "QuotaExceeded": f"{_QUOTA} Total Regional Cores quota. Current Limit: 10, Current Usage: 8, Required: 4.",
    "OperationNotAllowed": f"{_QUOTA} standardDSv5Family Cores quota. Current Limit: 4, Current Usage: 4.",
}


def refuse(fault: Fault, retry_after: int) -> ArmError:
    """The immediate answer of a fault that is not asynchronous."""
    if fault.message:
        return ArmError(fault.status, fault.error, fault.message)
    if fault.error == "429":
        return ArmError(
            429, "OperationNotAllowed", "The request was throttled. TooManyRequests.", Retry_After=str(retry_after)
        )
    if fault.error.isdigit():
        return ArmError(int(fault.error), "InternalServerError", "The server encountered an internal error.")
    return ArmError(409, fault.error, MESSAGES.get(fault.error, f"The request failed: {fault.error}."))
