"""Azure resource ids, parsed and composed."""

from __future__ import annotations

from typing import NamedTuple


class ResourceName(NamedTuple):
    """``kind`` is the type without its provider, for example ``disks``."""

    subscription: str
    group: str
    kind: str
    name: str

    def is_in_group_of(self, other: ResourceName) -> bool:
        """Whether both are in one resource group; Azure ignores case."""
        mine, theirs = (self.subscription, self.group), (other.subscription, other.group)
        return [part.lower() for part in mine] == [part.lower() for part in theirs]


def take_apart(resource_id: str) -> ResourceName:
    """The parts of a resource id, or of a resource group's id (whose kind and name are then empty)."""
    parts = resource_id.strip("/").split("/")
    kind, name = (parts[-2], parts[-1]) if len(parts) > 4 else ("", "")
    return ResourceName(parts[1], parts[3], kind, name)


def compute_id(group_id: str, kind: str, name: str) -> str:
    """The id of a compute resource in a resource group."""
    return f"{group_id}/providers/Microsoft.Compute/{kind}/{name}"
