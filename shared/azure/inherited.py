"""Properties that copies and machines must inherit from their source disk, where Azure does not do it by itself."""

from __future__ import annotations

from typing import Any


def protected_as(source: Any) -> dict[str, Any]:
    """A copy is encrypted with the key of its source, and cannot be downloaded.

    By default Azure uses its own key for a copy, and allows download links to every identity with the right.
    Source: Azure/azure-rest-api-specs, Microsoft.Compute disks, encryption and networkAccessPolicy.
    """
    closed = {"networkAccessPolicy": "DenyAll", "publicNetworkAccess": "Disabled"}
    encryption = source.properties.encryption if source.properties else None
    if encryption is None or not encryption.disk_encryption_set_id:
        return closed
    return closed | {"encryption": {"type": encryption.type, "diskEncryptionSetId": encryption.disk_encryption_set_id}}


def started_as(os_disk: Any) -> dict[str, Any]:
    """What a machine must declare about its system disk, or Azure refuses it: its security type and its image's plan.

    A disk keeps both from the machine or image that it comes from, through every copy.
    Source: MicrosoftDocs/azure-compute-docs:articles/virtual-machines/trusted-launch.md
    """
    start: dict[str, Any] = {}
    found = os_disk.properties
    security = found.security_profile.security_type if found and found.security_profile else None
    if security == "TrustedLaunch":
        uefi = {"secureBootEnabled": True, "vTpmEnabled": True}
        start["properties"] = {"securityProfile": {"securityType": "TrustedLaunch", "uefiSettings": uefi}}
    if found and found.purchase_plan:
        plan = found.purchase_plan
        start["plan"] = {"name": plan.name, "publisher": plan.publisher, "product": plan.product}
    return start
