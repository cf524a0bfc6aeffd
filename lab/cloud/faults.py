"""Declared faults: what goes wrong, for which operation, how often."""

from __future__ import annotations

from dataclasses import dataclass

from lab.cloud.errors import ArmError


@dataclass
class Fault:
    """``operation`` is a method and a resource type or action, for example ``PUT virtualMachines``.

    ``error`` is a code of Azure, ``429``, ``500`` or ``hang``. With ``size`` only machines of that size are hit.
    """

    operation: str
    error: str
    size: str | None = None
    times: int = 1
    retry_after: float = 30.0

    def fits(self, method: str, words: set[str], size: str | None) -> bool:
        wanted_method, _, wanted = self.operation.partition(" ")
        return (
            self.times > 0
            and wanted_method.upper() == method
            and wanted.lower() in words
            and (self.size is None or self.size == size)
        )


class Faults:
    """The faults that are still to happen."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        self._faults.append(fault)

    def take(self, method: str, words: set[str], size: str | None) -> Fault | None:
        """The first fault that fits, used up by one."""
        for fault in self._faults:
            if fault.fits(method, words, size):
                fault.times -= 1
                return fault
        return None


ASYNCHRONOUS = {"AllocationFailed", "ZonalAllocationFailed", "OverconstrainedAllocationRequest"}
"""Azure accepts the PUT and fails the operation; the failed machine stays."""

MESSAGES = {
    "AllocationFailed": "Allocation failed. We do not have sufficient capacity for the requested VM size in this region.",
    "ZonalAllocationFailed": "Allocation failed. We do not have sufficient capacity for the requested VM size in this zone.",
    "OverconstrainedAllocationRequest": "Allocation failed. The request's constraints leave too few places in this region.",
    "SkuNotAvailable": "The requested VM size is currently not available in this location.",
    "QuotaExceeded": "Operation could not be completed as it results in exceeding approved Cores quota.",
    "OperationNotAllowed": "Operation could not be completed as it results in exceeding approved standardDSv5Family Cores quota.",
}


def refuse(fault: Fault, retry_after: int) -> ArmError:
    """The immediate answer of a fault that is not asynchronous."""
    if fault.error == "429":
        return ArmError(
            429, "OperationNotAllowed", "The request was throttled. TooManyRequests.", Retry_After=str(retry_after)
        )
    if fault.error.isdigit():
        return ArmError(int(fault.error), "InternalServerError", "The server encountered an internal error.")
    return ArmError(409, fault.error, MESSAGES.get(fault.error, f"The request failed: {fault.error}."))
