"""Both sites' databases side by side, as a failback sees them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from shared.models.base import Strict
from shared.models.steps import StepEnd

SAME_MOMENT = timedelta(milliseconds=5)
"""Two readings of one moment may differ by this: SQL Server's ``datetime`` counts in steps of 1/300 s."""


class DatabaseView(Strict):
    """One database. ``state`` is SQL Server's word for it, None where it did not answer; ``newest`` is its newest
    commit, and ``rows`` the count by the plan's ``count_query`` from the recovery point to the cutover, each None where
    it could not be measured.
    """

    state: str | None
    read_only: bool = False
    newest: datetime | None = None
    rows: int | None = None
    detail: str

    @property
    def is_online(self) -> bool:
        return self.state == "ONLINE"

    @property
    def takes_writes(self) -> bool:
        return self.is_online and not self.read_only

    @property
    def is_stopped(self) -> bool:
        """Whether SQL Server itself refuses every write: nothing less is believed of a stop."""
        return self.state in ("RESTORING", "OFFLINE") or (self.is_online and self.read_only)


class HomeLook(Strict):
    """``home`` and ``azure`` are the measured databases by their names in lower case. Home was read first, so a copy
    that is under way never makes it appear ahead. ``pages`` are home's pages that answer. ``own_writes`` says of each
    database at home that changed since the cutover whether it took writes of its own, where that could be counted.
    """

    at: datetime
    home: dict[str, DatabaseView]
    azure: dict[str, DatabaseView]
    pages: list[str] = []
    moved_at: datetime | None = None
    own_writes: dict[str, bool] = {}
    only_in_azure: list[str] = []
    """Databases that are measured in Azure and not at home."""

    def as_step(self) -> StepEnd:
        return StepEnd(detail=self.facts)

    @property
    def facts(self) -> dict[str, Any]:
        """What is shown of it: seconds, a count, and each database in words."""
        return {
            "at": self.at.isoformat(),
            "lag": None if self.lag is None else self.lag.total_seconds(),
            "stranded": self.stranded,
            "home": {name: view.detail for name, view in self.home.items()},
            "azure": {name: view.detail for name, view in self.azure.items()},
        }

    @property
    def closed_at_home(self) -> list[str]:
        """What home's databases say that do not take writes."""
        return [view.detail for view in self.home.values() if not view.takes_writes]

    @property
    def closed_in_azure(self) -> list[str]:
        """What Azure's databases say that do not take writes."""
        return [view.detail for view in self.azure.values() if not view.takes_writes]

    @property
    def lag(self) -> timedelta | None:
        """How far home's newest change is behind Azure's, in the database where that is most; None where unknown."""
        behind: list[timedelta] = []
        for name, azure in self.azure.items():
            home = self.home.get(name)
            if azure.newest is None or home is None or home.newest is None:
                return None
            behind.append(max(azure.newest - home.newest, timedelta(0)))
        return max(behind, default=None)

    @property
    def stranded(self) -> int | None:
        """Rows that home has from before the cutover and Azure does not have; None where they could not be counted."""
        counts = [(self.home[name].rows, view.rows) for name, view in self.azure.items() if name in self.home]
        if not counts or any(home is None or azure is None for home, azure in counts):
            return None
        return sum(max(0, (home or 0) - (azure or 0)) for home, azure in counts)

    @property
    def written_at_home(self) -> dict[str, datetime]:
        """The databases at home with a change from after the cutover that no copy can have brought: by the count where
        there is one, else because it is newer than Azure's newest. While Azure cannot be read, nothing is concluded.
        """
        found: dict[str, datetime] = {}
        for name, moment in self.changed_at_home.items():
            azure = self.azure[name].newest
            if self.own_writes.get(name, azure is not None and moment > azure + SAME_MOMENT):
                found[name] = moment
        return found

    @property
    def changed_at_home(self) -> dict[str, datetime]:
        """The databases at home whose newest change is from after the cutover, by a copy or by a write."""
        return {
            name: view.newest
            for name, view in self.home.items()
            if view.newest and self.moved_at and view.newest > self.moved_at
        }
