"""Table Storage: one client per event loop, tables created on first use, outages distinguished from answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any
from weakref import WeakKeyDictionary

from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.data.tables.aio import TableClient, TableServiceClient

from shared import settings
from shared.azure.clients import credential
from shared.models.base import Strict
from shared.models.errors import StorageUnavailableError

RUNS = "ColdsiteRuns"
STEPS = "ColdsiteSteps"
ALERTS = "ColdsiteAlerts"
STATE = "ColdsiteState"
EVENTS = "ColdsiteEvents"
DOCUMENTS = "ColdsiteDocuments"

_tables: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, TableClient]] = WeakKeyDictionary()
_MEANS_AWAY = {408, 429, 500, 502, 503, 504}


@contextlib.asynccontextmanager
async def storage() -> AsyncIterator[None]:
    """Turns every outage of the storage into ``StorageUnavailableError``; other errors pass."""
    try:
        yield
    except (ServiceRequestError, ServiceResponseError, ClientAuthenticationError, TimeoutError) as error:
        raise StorageUnavailableError("The history's storage does not answer.") from error
    except HttpResponseError as error:
        if error.status_code == 404 and "TableNotFound" in str(
            error.error_code if hasattr(error, "error_code") else error
        ):
            _tables.pop(asyncio.get_running_loop(), None)
            raise StorageUnavailableError(
                "A table of the history does not exist; it is created at the next call."
            ) from error
        if error.status_code in _MEANS_AWAY:
            raise StorageUnavailableError(f"The history's storage answered {error.status_code}.") from error
        raise


async def table(name: str) -> TableClient:
    """A table's client; the table itself is created the first time. Call it within ``storage()``."""
    known = _tables.setdefault(asyncio.get_running_loop(), {})
    if name not in known:
        service = TableServiceClient(
            settings.tables_endpoint(),
            credential=credential(),
            retry_total=1,
            retry_backoff_factor=0.2,
            connection_timeout=2,
            read_timeout=4,
        )
        client = service.get_table_client(name)
        with contextlib.suppress(ResourceExistsError):
            await client.create_table()
        if name in known:  # A concurrent call was quicker.
            await service.close()
        else:
            known[name] = client
    return known[name]


_LONGEST_TEXT = 30_000
"""Characters. A text property holds 32 K of them, and an entity 1 MiB: longer values would always be refused.
Source: MicrosoftDocs/azure-docs, understanding the Table service data model."""
_CUT = " ... [cut]"


def from_row[M: Strict](model: type[M], entity: Any, structures: frozenset[str] = frozenset()) -> M:
    """A stored row as its model. Unknown columns belong to a newer version and are ignored: a roll-back must be able to
    read rows that were written before it.
    """
    known = model.model_fields.keys()
    return model.model_validate({k: v for k, v in from_entity(entity, structures).items() if k in known})


def unknown_columns(entity: Mapping[str, Any], model: type[Strict]) -> dict[str, Any]:
    """The columns of a stored row that this version does not know; a write of the whole row keeps them."""
    return {k: v for k, v in entity.items() if k not in model.model_fields and k not in ("PartitionKey", "RowKey")}


def to_entity(partition: str, row: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A flat entity: times stay times, structures become JSON text, None is left out. A text is cut to the limit of a
    property, and so are the texts within a structure that is too long.
    """
    entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": row}
    for name, value in fields.items():
        if isinstance(value, (dict, list)):
            entity[name] = _as_json(value)
        elif isinstance(value, str):
            entity[name] = value if len(value) <= _LONGEST_TEXT else value[: _LONGEST_TEXT - len(_CUT)] + _CUT
        elif value is not None:
            entity[name] = value
    return entity


def _as_json(value: dict[str, Any] | list[Any]) -> str:
    text, limit = json.dumps(value, separators=(",", ":"), default=str), 2000
    while len(text) > _LONGEST_TEXT and limit > 1:
        value, limit = shortened(value, limit), limit // 2
        text = json.dumps(value, separators=(",", ":"), default=str)
    return text


def shortened(value: Any, limit: int) -> Any:
    """A structure of the same shape whose texts and lists are at most ``limit`` long."""
    if isinstance(value, dict):
        return {key: shortened(inner, limit) for key, inner in value.items()}
    if isinstance(value, list):
        return [shortened(inner, limit) for inner in value[:limit]]
    return value[:limit] if isinstance(value, str) else value


def from_entity(entity: Any, structures: frozenset[str]) -> dict[str, Any]:
    """The reverse of ``to_entity``; ``structures`` names the fields that hold JSON text."""
    fields: dict[str, Any] = {}
    for name, value in entity.items():
        if name in ("PartitionKey", "RowKey"):
            continue
        if name in structures:
            value = json.loads(value)
        elif isinstance(value, datetime):
            value = value.astimezone(UTC)
        fields[name] = value
    return fields
