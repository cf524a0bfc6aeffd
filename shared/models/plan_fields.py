"""The values that a plan's fields take, each checked with a sentence on what was expected."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from shared.models.cron import schedule_problem
from shared.models.places import is_host, is_setting, split_place

URL_PATH = r"^/[!-~]*$"
GROUP_ID = r"^/subscriptions/[^/]+/resourceGroups/[^/]+$"
SIZE = r"^(Standard|Basic)_[A-Za-z]+[0-9][A-Za-z0-9_-]*$"
REGION = r"^[a-z0-9]+$"
SETTING_NAME = r"^[A-Z][A-Z0-9_]*$"
WORKLOAD_NAME = r"^[a-z][a-z0-9-]{0,30}$"
UrlPath = Annotated[str, Field(pattern=URL_PATH, max_length=1000)]


def _resource(kind: str, example: str) -> Any:
    """A resource id of one type: Azure would refuse an id of another type in the middle of a failover."""
    pattern = re.compile(rf"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/{re.escape(kind)}/[^/]+", re.IGNORECASE)

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(
                f"is not a resource id of type {kind}, for example /subscriptions/ID/resourceGroups/{example}"
            )
        return value

    return AfterValidator(check)


GroupId = Annotated[str, Field(pattern=GROUP_ID)]
_COMPUTE = "GROUP/providers/Microsoft.Compute"
MachineId = Annotated[str, _resource("Microsoft.Compute/virtualMachines", f"{_COMPUTE}/virtualMachines/dt-dr")]
DiskId = Annotated[str, _resource("Microsoft.Compute/disks", f"{_COMPUTE}/disks/dt-sql-os")]
NicId = Annotated[
    str,
    _resource(
        "Microsoft.Network/networkInterfaces", "GROUP/providers/Microsoft.Network/networkInterfaces/sql-failover"
    ),
]
ProfileId = Annotated[
    str,
    _resource(
        "Microsoft.Network/trafficManagerProfiles", "GROUP/providers/Microsoft.Network/trafficManagerProfiles/contoso"
    ),
]
Storage = Literal["Premium_LRS", "StandardSSD_LRS", "Standard_LRS", "Premium_ZRS", "StandardSSD_ZRS"]
"""The allowed types of a system disk. Premium SSD v2 and Ultra disks cannot hold one.
Source: MicrosoftDocs/azure-compute-docs:articles/virtual-machines/disks-types.md"""
Size = Annotated[str, Field(pattern=SIZE)]
Region = Annotated[str, Field(pattern=REGION)]
"""As in Azure's API: ``westeurope``, not ``West Europe``."""
SettingName = Annotated[str, Field(pattern=SETTING_NAME)]
Software = Literal[
    "windows-server-2012",
    "windows-server-2012-r2",
    "windows-server-2016",
    "windows-server-2019",
    "windows-server-2022",
    "sql-server-2012",
    "sql-server-2014",
    "sql-server-2016",
    "sql-server-2017",
    "sql-server-2019",
    "sql-server-2022",
]
"""Products whose support ends at a known time (``policy/support.py``)."""
WorkloadName = Annotated[str, Field(pattern=WORKLOAD_NAME)]
_NO_ZONES = {"localtime", "posixrules", "Factory"}
"""Files of the time zone database that name no zone: their meaning depends on the machine."""


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError("is not a time zone, for example Europe/Amsterdam") from error
    if value in _NO_ZONES:
        raise ValueError("depends on the machine; name a time zone, for example Europe/Amsterdam")
    return value


def _valid_schedule(value: str) -> str:
    if problem := schedule_problem(value):
        raise ValueError(problem)
    return value


def _own_tag(value: str) -> str:
    if value.lower().startswith("coldsite-"):
        raise ValueError("begins like Coldsite's own tags; choose another name")
    return value


TagName = Annotated[str, Field(pattern=r"^[^<>%&\\?/]+$", max_length=128), AfterValidator(_own_tag)]


def _an_address(value: str) -> str:
    if not is_host(value):
        raise ValueError("is neither an IPv4 address nor a host name, for example 10.20.1.5")
    return value


HostName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\.?$", max_length=253),
    AfterValidator(_an_address),
]
"""A name or an address alone: no scheme, no port, no path."""


def _a_place(value: str) -> str:
    """An app setting's name is resolved when it is used; an address in the plan can be checked now."""
    if not is_setting(value) and split_place(value) is None:
        raise ValueError(
            "is neither an address with an optional port (203.0.113.10:8443) nor the name of an app setting that holds "
            "one (PRIMARY_ADDRESS)"
        )
    return value


def _known_path(value: str) -> str:
    """A path may have any name, but a misspelt "private" would silently lose its veto."""
    known = ("public", "private", "agent", "control")
    near = difflib.get_close_matches(value.lower(), known, n=1, cutoff=0.75)
    if near and value not in known:
        raise ValueError(f"is not {near[0]!r}; did you mean that?")
    return value


Zone = Annotated[str, AfterValidator(_known_zone)]
Schedule = Annotated[str, AfterValidator(_valid_schedule)]
Address = Annotated[str, AfterValidator(_an_address)]
Place = Annotated[str, AfterValidator(_a_place)]
"""An address with an optional port, or the name of an app setting that holds one."""
Path = Annotated[str, AfterValidator(_known_path)]
Zonal = Annotated[Literal["1", "2", "3"], BeforeValidator(str)]
