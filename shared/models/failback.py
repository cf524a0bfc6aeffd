"""How a plan's customers come home: the acts of the business's own automation, and what is proven before and after."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shared.models.base import Strict
from shared.models.durations import Duration
from shared.models.hooks import Act
from shared.models.probes import _minutes, _seconds


def _bounded(query: str) -> str:
    missing = [name for name in ("@since", "@until") if name not in query]
    if missing:
        raise ValueError(f"lacks {' and '.join(missing)}: Coldsite counts what was written between those two moments")
    return query


class Failback(Strict):
    """The way home. A person or Double-Take copies the data; Coldsite proves that all of it arrived, and moves the
    customers.

    ``stop_writes`` (actions ``stop`` and ``resume``) stops the writes in Azure; ``final_sync`` (action ``sync``) brings
    what is still missing home. Without them a person does it, and is asked to.
    """

    way: Literal["database", "machines"] = "database"
    licensed: bool = False
    """With ``machines``: whether there are licence codes for the recovered servers and target rights at home."""
    sign_off: Literal["required", "off"] = "required"
    stop_writes: Act | None = None
    final_sync: Act | None = None
    count_query: Annotated[str, AfterValidator(_bounded)] | None = None
    """Counts the rows that were written after ``@since`` until ``@until`` (UTC), both filled in by Coldsite. It shows
    what home has from before the cutover and Azure does not have, and what home took by itself since."""
    max_lag: Duration = _seconds(60)
    """How far home's newest change may be behind Azure's when writes are stopped."""
    sync_timeout: Duration = _minutes(10)
    """How long writes may stay stopped until home holds everything; then Azure takes writes again."""
    prove_for: Duration = _seconds(15)
    """How long home must answer without a failure after the last change arrived. Writes are stopped meanwhile."""
    watch_for: Duration = _minutes(15)
    """How long home is watched after customers have moved, before ``commit`` is offered."""
    retire_after: Duration = _minutes(24 * 60)
    """How long after ``commit`` the machines in Azure are deleted at the earliest, once home is protected again."""
    script_texts: dict[str, str] = Field(default_factory=dict)
    """Filled by the loader, so that a run carries the scripts it started with."""

    @property
    def acts(self) -> dict[str, Act]:
        """The acts that the plan declares, by name."""
        return {name: act for name in ("stop_writes", "final_sync") if (act := getattr(self, name)) is not None}
