"""The properties that a copy keeps of its source, and that a machine must therefore declare for its system disk."""

from __future__ import annotations

from typing import Any

from lab.cloud.errors import ArmError

INHERITED = ("securityProfile", "purchasePlan", "hyperVGeneration")
"""The properties that a copy keeps of its source by default."""


def check_start(disk: dict[str, Any], body: dict[str, Any]) -> None:
    """A machine starts as its system disk was made to, and names the offer whose image is on it."""
    kept = (disk.get("securityProfile") or {}).get("securityType", "Standard")
    wanted = (body["properties"].get("securityProfile") or {}).get("securityType", "Standard")
    if kept != wanted:
        message = (
            f"Security type of VM ({wanted}) is not compatible with the security type of attached OS Disk ({kept})."
        )
        raise ArmError(400, "BadRequest", message)
    if disk.get("purchasePlan") and not body.get("plan"):
        raise ArmError(
            400,
            "VMMarketplaceInvalidInput",
            "Creating a virtual machine from Marketplace image or a custom image sourced from a Marketplace image "
            "requires Plan information in the request.",
        )
