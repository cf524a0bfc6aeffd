"""Whether a failover would succeed tonight: what was found, why it matters, and how to fix it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from shared.models.base import Strict
from shared.models.evidence import Evidence
from shared.models.routing import Routing

Severity = Literal["blocker", "warning"]


class Finding(Strict):
    """``code`` names the kind, ``subject`` what it is about. A blocker would stop a failover, or lose its customers."""

    code: str
    subject: str
    severity: Severity
    found: str
    why: str
    fix: str

    @property
    def key(self) -> str:
        return f"{self.code}/{self.subject}"


class InterfaceView(Strict):
    """A network interface: its first address, the machine that uses it, if any, and the DNS servers it names."""

    address: str
    machine: str | None
    location: str
    dns_servers: list[str] = []


class ProfileView(Strict):
    """The Traffic Manager profile: how it routes, how long resolvers may keep its answer, and after how many seconds
    its probes call an endpoint degraded.
    """

    ttl: int | None
    routing_method: str
    notices_after: float


class Rights(Strict):
    """What one role grants at a place, with Azure's wildcards."""

    actions: list[str]
    not_actions: list[str] = []


class SizeView(Strict):
    """A size of machine in the recovery region, by its capabilities. ``restricted`` says why this subscription may not
    use it.
    """

    family: str
    cores: int
    restricted: str | None = None
    premium: bool = True
    generations: list[str] = ["V1", "V2"]
    data_disks: int = 8


class Quota(Strict):
    """Cores in use, and how many the subscription may use in the region."""

    used: int
    limit: int


class ReadinessFacts(Strict):
    """Everything that is asked. A part that could not be read is None, and ``unread`` says why by part."""

    at: datetime
    routing: Routing | None = None
    profile: ProfileView | None = None
    follows: dict[str, bool] = {}
    """By customers' host name, whether it leads to the Traffic Manager profile."""
    interfaces: dict[str, InterfaceView] | None = None
    """By id in lower case."""
    sizes: dict[str, SizeView] | None = None
    quotas: dict[str, Quota] | None = None
    """By the family's name in lower case; ``cores`` is the region's total."""
    missing_rights: dict[str, list[str]] = {}
    """By place (recovery, replica, traffic), the actions that Coldsite's identity lacks there."""
    newest_point: datetime | None = None
    points_read: bool = False
    standing: list[str] | None = None
    """Runs with resources in the recovery group."""
    kept: list[str] = []
    """Runs whose machines belong there: the active one, and one that is kept after a failback."""
    missing_settings: list[str] = []
    delivered: dict[str, datetime] = {}
    """When each address last accepted a message."""
    evidence: list[Evidence] = []
    last_drill: datetime | None = None
    drill_is_of_this_plan: bool = False
    unread: dict[str, str] = {}


class Readiness(Strict):
    """``ready`` while there is no blocker."""

    plan: str
    at: datetime
    ready: bool
    findings: list[Finding]
