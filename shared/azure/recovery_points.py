"""The existing recovery points: complete sets of snapshots, by their tags."""

from __future__ import annotations

import logging
from typing import Literal

from pydantic import AwareDatetime, ConfigDict, Field, ValidationError

from shared.azure import clients
from shared.models import ids
from shared.models.base import Strict
from shared.models.operations import PointInTime
from shared.models.resource_ids import take_apart

_log = logging.getLogger("coldsite.compute")


class _Tags(Strict):
    """The set of one snapshot, by its tags."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    set_id: str = Field(alias=ids.TAG_SET)
    run_id: str = Field(default="", alias=ids.TAG_RUN)
    workload: str = Field(alias=ids.TAG_WORKLOAD)
    disk: str = Field(alias="coldsite-disk")
    taken_at: AwareDatetime = Field(alias=ids.TAG_TAKEN_AT)
    consistency: Literal["application", "crash"] = Field(alias="coldsite-consistency")
    set_size: int = Field(alias="coldsite-set-size")
    data_until: AwareDatetime | Literal["unknown"] | None = Field(default=None, alias=ids.TAG_DATA_UNTIL)


async def recovery_points(group: str, plan: str) -> list[PointInTime]:
    """Every set of this plan's snapshots that is complete and finished, newest first.

    A snapshot whose tags were changed or removed makes its own set incomplete, and no other.
    """
    place = take_apart(group)
    sets: dict[str, dict[str, str]] = {}
    facts: dict[str, _Tags] = {}
    async for snapshot in clients.compute(place.subscription).snapshots.list_by_resource_group(place.group):
        tags = snapshot.tags or {}
        ready = snapshot.properties and snapshot.properties.provisioning_state == "Succeeded"
        if tags.get(ids.TAG_PLAN) != plan or ids.TAG_SET not in tags or not ready:
            continue
        try:
            named = _Tags.model_validate(dict(tags))
        except ValidationError as error:
            wrong = ", ".join(sorted({str(problem["loc"][0]) for problem in error.errors()}))
            _log.warning(
                "The tags of snapshot %s were changed (%s); its set is not used.",
                snapshot.name,
                wrong,
            )
            continue
        sets.setdefault(named.set_id, {})[f"{named.workload}/{named.disk}"] = snapshot.id or ""
        facts[named.set_id] = named
    whole = [
        PointInTime(
            set_id=key,
            run_id=facts[key].run_id,
            taken_at=facts[key].taken_at,
            consistency=facts[key].consistency,
            snapshots=found,
            data_until=facts[key].data_until,
        )
        for key, found in sets.items()
        if len(found) == facts[key].set_size
    ]
    return sorted(whole, key=lambda point: point.taken_at, reverse=True)
