"""What an error of Azure means for Coldsite, by its remedy: wait, another size, another machine's, or the operator.

A 429 is ``throttled``: Azure's clients do not retry it (``shared.azure.clients``), and the order is repeated after a
wait (``RunContext.insist`` in ``functions.workflow.context``).
"""

from __future__ import annotations

import re

from shared.models.operations import Refusal, RefusalKind

_CAPACITY = {
    "allocationfailed",
    "zonalallocationfailed",
    "zonesallocationfailed",
    "overconstrainedallocationrequest",
    "overconstrainedzonalallocationrequest",
    "skunotavailable",
    "vmsizeisnotpermittedtoenableacceleratednetworking",
    "availabilityzonenotsupported",
}
_ABOUT_THE_SIZE = re.compile(
    r"\b(vm ?size|virtual machine size|size of vm|data disks allowed to be attached to a vm of this size|"
    r"cannot boot hypervisor)\b",
    re.IGNORECASE,
)
"""Azure reports with general codes that a size does not fit: disk controller, generation, storage or region."""
_QUOTA = {"quotaexceeded", "resourcequotaexceeded"}
_CONFLICT = {
    "nicreservedforanothervm",
    "conflict",
    "anotheroperationinprogress",
    "operationpreempted",
    "attachdiskwhilebeingdetached",
    "referencedresourcenotprovisioned",
}
"""Codes of transient conflicts. Other conflicts (a lock, a stopped machine) need the operator."""
_PASSES = re.compile(
    r"^(networking)?internal|internalerror$|^retryable|^cancel+ed|^operationtimedout$|timeout$"
    r"|^serviceunavailable$"
)
"""Prefixes and suffixes of transient codes: every service of Azure adds new ones of the same kind."""
_PASSING_WORDS = re.compile(r"retry later|try again later|another operation", re.IGNORECASE)
_IN_USE = {"nicinuse", "conflictinguserinput", "diskinuse", "resourceinuse", "diskalreadyattached"}
"""Another machine holds the interface or the disk: a leftover, which may be deleted, or an unknown machine."""
MAY_BE_UP = {"vmstarttimedout", "osprovisioningtimedout"}
"""Azure gave up waiting for a machine that exists and may still start: its probes decide, and it is not deleted.
Source: scylladb/scylla-cluster-tests#15004, Azure/azure-sdk-for-node#1491"""


def classify(status: int, code: str, message: str, retry_after: float | None = None) -> Refusal:
    """Classifies an error of Azure by its remedy.

    The HTTP status comes first, since ``OperationNotAllowed`` is the code of both throttling and quota.
    Source: MicrosoftDocs/azure-compute-docs:articles/virtual-machines/troubleshoot (allocation failures, throttling).
    """
    word = code.lower()
    kind: RefusalKind
    if status == 429 or "toomanyrequests" in word or word.endswith("throttled"):
        kind = "throttled"
    elif word in _QUOTA or (word == "operationnotallowed" and "quota" in message.lower()):
        kind = "quota"
    elif word in _CAPACITY or (status in (0, 400, 409) and _ABOUT_THE_SIZE.search(message)):
        kind = "capacity"
    elif word in _IN_USE:
        kind = "in_use"
    elif status == 408 or word in _CONFLICT or _PASSES.search(word) or _PASSING_WORDS.search(message):
        kind = "conflict"
    else:
        kind = "permanent"
    return Refusal(kind=kind, code=code or str(status), message=" ".join(message.split()), retry_after=retry_after)
