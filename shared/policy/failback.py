"""Whether home is ready for its customers, and what a person signs. Pure."""

from __future__ import annotations

from datetime import datetime

from shared.models.durations import spoken, spoken_moment
from shared.models.failback import Failback
from shared.models.home import SAME_MOMENT, DatabaseView, HomeLook


def why_not_ready(look: HomeLook, *, stopped: bool = False) -> str | None:
    """Why the way home may not begin: a database that does not answer, or a home that takes writes of its own.
    ``stopped``: Azure's databases may have been stopped by hand.
    """
    if not look.azure:
        return (
            "No database is measured at both sites, so nothing can prove that home holds everything. The plan needs a "
            "recovery_point_query, and a signal that asks the same database at the primary."
        )
    if look.only_in_azure:
        return (
            f"{', '.join(look.only_in_azure)}: measured in Azure and not at home, so data loss would go undetected. "
            "Add a signal to the plan that asks the same database at the primary."
        )
    silent = [f"{name} ({view.detail})" for name, view in sorted(look.home.items()) if not view.is_online]
    if silent:
        return (
            f"Home's database does not answer: {', '.join(silent)}. It must be readable, for example restored WITH "
            "STANDBY."
        )
    away = [
        f"{name} ({view.detail})"
        for name, view in sorted(look.azure.items())
        if not (view.is_online or (stopped and view.is_stopped))
    ]
    if away:
        return f"Azure's database does not answer: {', '.join(away)}."
    if look.written_at_home:
        writes = ", ".join(f"{name} at {spoken_moment(at)}" for name, at in sorted(look.written_at_home.items()))
        return (
            f"Databases at home are being written to while customers are served from Azure: {writes}. Stop the "
            "application, SQL Agent and scheduled tasks at home."
        )
    return None


def behind(look: HomeLook, terms: Failback) -> str | None:
    """Why home is not up to date enough for writes to be stopped; None when it is."""
    lag = look.lag
    if lag is None:
        unmeasured = sorted(name for name, view in (look.home | look.azure).items() if view.newest is None)
        return f"The newest change could not be measured ({', '.join(unmeasured)}), so home's lag is unknown."
    if lag > terms.max_lag:
        limit = spoken(terms.max_lag.total_seconds())
        return f"Home is {spoken(lag.total_seconds())} behind Azure; the plan allows {limit} (failback.max_lag)."
    return None


def sign_off(look: HomeLook, terms: Failback, *, pages: bool = True) -> str:
    """What is shown to the person who signs: the approval attests all of it. ``pages``: home's pages are probed."""
    lag = look.lag
    parts = ["Move customers home?"]
    parts.append(
        f"Home is {spoken(lag.total_seconds())} behind Azure." if lag is not None else "Home's lag is unknown."
    )
    parts.append(_stranded(look))
    if look.pages:
        parts.append(f"Home's pages already answer ({'; '.join(look.pages)}); customers are kept away by DNS only.")
    if not pages:
        parts.append("No signal of the plan asks a page of home, so its web site is unverified.")
    if terms.final_sync is None:
        parts.append("The plan has no final_sync: the running copy must bring the last changes home.")
    parts.append(
        f"Writes then stop at both sites, for {spoken(terms.sync_timeout.total_seconds())} at most; until customers "
        "move, `abort` lets Azure continue as before. By approving you confirm that a backup of the old home "
        "exists."
    )
    return " ".join(parts)


def _stranded(look: HomeLook) -> str:
    count = look.stranded
    if count is None:
        return (
            "Orders that were placed at home after the recovery point, and never reached Azure, could not be counted: "
            "compare them by hand."
        )
    if count == 0:
        return "Home has no rows from before the failover that Azure does not have."
    return (
        f"Home has {count} rows from before the failover that Azure does not have; those orders were confirmed to "
        "customers. Export them before home is overwritten."
    )


def still_takes_writes(look: HomeLook) -> str | None:
    """Why the stop of Azure's writes is not believed; None when SQL Server itself refuses them."""
    open_ones = [f"{name} ({view.detail})" for name, view in sorted(look.azure.items()) if not view.is_stopped]
    if not open_ones:
        return None
    return (
        f"Azure's database still accepts writes, or could not be checked: {', '.join(open_ones)}. It must be "
        "RESTORING or read-only, since SQL Server then refuses every write by itself."
    )


def last_commits(look: HomeLook, reported: dict[str, datetime]) -> dict[str, datetime | None]:
    """Azure's last commits, after its writes were stopped: as read, else as the stop reported them."""
    return {name: view.newest or reported.get(name) for name, view in look.azure.items()}


def why_commits_unknown(last: dict[str, datetime | None]) -> str | None:
    """Why it cannot be proven that home holds everything; None when every last commit is known."""
    unknown = sorted(name for name, moment in last.items() if moment is None)
    if not unknown:
        return None
    return (
        f"Azure's last change is unknown ({', '.join(unknown)}): a database that is RESTORING cannot be read, and "
        "stop_writes did not report newest_commits. Let it report them, or set the database read-only."
    )


def missing_at_home(home: dict[str, DatabaseView], last: dict[str, datetime | None]) -> str | None:
    """What home still lacks, or has beyond Azure; None when both sites hold the same newest change."""
    for name, wanted in sorted(last.items()):
        found = home[name].newest
        if wanted is None or found is None:
            return f"Home's newest change in {name} could not be read ({home[name].detail})."
        if found < wanted - SAME_MOMENT:
            return (
                f"Home's newest change in {name} is from {spoken_moment(found)}, Azure's from {spoken_moment(wanted)}."
            )
        if found > wanted + SAME_MOMENT:
            return (
                f"Home's database {name} has a change from {spoken_moment(found)} that Azure does not have: home is "
                "being written to."
            )
    return None


def why_not_movable(look: HomeLook, last: dict[str, datetime | None]) -> str | None:
    """Why customers may not move home now: home does not take writes, Azure takes them again, or the two differ."""
    if look.closed_at_home:
        return f"Home's database does not take writes: {'; '.join(look.closed_at_home)}. Open it there for writes."
    return still_takes_writes(look) or missing_at_home(look.home, last)
