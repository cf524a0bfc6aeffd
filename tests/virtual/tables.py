"""Table Storage in memory, as far as the history uses it: entity tags, transactions, and simple filters."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
)
from azure.data.tables import TableEntity, TransactionOperation, UpdateMode

type Key = tuple[str, str]
_COMPARES: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


class Tables:
    """One storage account. ``after_write`` hears the table of every write; it may end the caller."""

    def __init__(self, after_write: Callable[[str], Awaitable[bool]]) -> None:
        self.running = True
        self.process_ids: list[int] = []
        self.after_write = after_write
        self._tables: dict[str, dict[Key, TableEntity]] = {}
        self._writes = 0

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    async def __aenter__(self) -> Tables:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def close(self) -> None:
        return None

    def get_table_client(self, name: str) -> Table:
        return Table(self, name)

    async def list_tables(self) -> AsyncIterator[Table]:
        for name in list(self._tables):
            yield Table(self, name)

    def rows(self, table: str) -> dict[Key, TableEntity]:
        """Raises what the SDK raises when the account is away or has no such table."""
        if not self.running:
            raise ServiceRequestError("The storage does not answer.")
        if table not in self._tables:
            raise ResourceNotFoundError(f"TableNotFound: {table}")
        return self._tables[table]

    def make(self, table: str) -> None:
        if not self.running:
            raise ServiceRequestError("The storage does not answer.")
        if table in self._tables:
            raise ResourceExistsError(f"TableAlreadyExists: {table}")
        self._tables[table] = {}

    def tag(self, entity: dict[str, Any]) -> TableEntity:
        """A stored copy, with an entity tag of its own."""
        self._writes += 1
        stored = TableEntity({name: value for name, value in entity.items() if value is not None})
        stored._metadata = {"etag": f'W/"{self._writes}"'}
        return stored


class Table:
    """The calls of ``TableClient`` that the history makes."""

    def __init__(self, account: Tables, name: str) -> None:
        self._account = account
        self.name = name

    async def create_table(self) -> None:
        self._account.make(self.name)

    async def _wrote(self) -> None:
        """Others may come in between a write and its answer, and whoever was killed by the write does not get one."""
        await self._account.after_write(self.name)
        await asyncio.sleep(0)

    async def create_entity(self, entity: dict[str, Any]) -> None:
        self._create(entity)
        await self._wrote()

    async def get_entity(self, partition_key: str, row_key: str) -> TableEntity:
        await asyncio.sleep(0)
        return _copy(self._find((partition_key, row_key)))

    async def update_entity(
        self,
        entity: dict[str, Any],
        mode: UpdateMode = UpdateMode.MERGE,
        *,
        etag: str | None = None,
        match_condition: MatchConditions | None = None,
    ) -> None:
        self._update(entity, mode, etag)
        await self._wrote()

    async def upsert_entity(self, entity: dict[str, Any], mode: UpdateMode = UpdateMode.MERGE) -> None:
        self._upsert(entity, mode)
        await self._wrote()

    async def delete_entity(self, partition_key: str, row_key: str) -> None:
        self._account.rows(self.name).pop((partition_key, row_key), None)
        await self._wrote()

    async def submit_transaction(self, operations: list[Any]) -> None:
        """All of it or nothing."""
        rows = self._account.rows(self.name)
        before = dict(rows)
        try:
            for operation in operations:
                self._apply(TransactionOperation(operation[0]), operation[1], operation[2] if operation[2:] else {})
        except Exception:
            rows.clear()
            rows.update(before)
            raise
        await self._wrote()

    def _apply(self, what: TransactionOperation, entity: dict[str, Any], options: dict[str, Any]) -> None:
        mode = UpdateMode(options.get("mode", UpdateMode.MERGE))
        match what:
            case TransactionOperation.CREATE:
                self._create(entity)
            case TransactionOperation.UPSERT:
                self._upsert(entity, mode)
            case TransactionOperation.UPDATE:
                self._update(entity, mode, options.get("etag"))
            case TransactionOperation.DELETE:
                self._find(_key(entity))
                self._account.rows(self.name).pop(_key(entity))

    def _create(self, entity: dict[str, Any]) -> None:
        rows = self._account.rows(self.name)
        if _key(entity) in rows:
            raise _coded(ResourceExistsError("EntityAlreadyExists"), 409)
        rows[_key(entity)] = self._account.tag(entity)

    def _find(self, key: Key) -> TableEntity:
        rows = self._account.rows(self.name)
        if key not in rows:
            raise ResourceNotFoundError("ResourceNotFound")
        return rows[key]

    def _update(self, entity: dict[str, Any], mode: UpdateMode, etag: str | None) -> None:
        found = self._find(_key(entity))
        if etag and etag != "*" and etag != found.metadata["etag"]:
            raise _coded(ResourceModifiedError("UpdateConditionNotSatisfied"), 412)
        self._upsert(entity, mode)

    def _upsert(self, entity: dict[str, Any], mode: UpdateMode) -> None:
        rows = self._account.rows(self.name)
        kept = dict(rows.get(_key(entity), {})) if mode is UpdateMode.MERGE else {}
        rows[_key(entity)] = self._account.tag(kept | entity)

    async def query_entities(
        self, query_filter: str, *, parameters: dict[str, Any] | None = None, select: list[str] | None = None, **_: Any
    ) -> AsyncIterator[TableEntity]:
        wanted = [_condition(part, parameters or {}) for part in query_filter.split(" and ")]
        async for entity in self.list_entities():
            if all(holds(entity) for holds in wanted):
                yield entity

    async def list_entities(self) -> AsyncIterator[TableEntity]:
        rows = self._account.rows(self.name)
        for key in sorted(rows):
            if key in rows:
                yield _copy(rows[key])


def _coded(error: HttpResponseError, status: int) -> HttpResponseError:
    error.status_code = status
    return error


def _copy(entity: TableEntity) -> TableEntity:
    copy = TableEntity(entity)
    copy._metadata = dict(entity.metadata)
    return copy


def _key(entity: dict[str, Any]) -> Key:
    return str(entity["PartitionKey"]), str(entity["RowKey"])


def _condition(text: str, parameters: dict[str, Any]) -> Callable[[TableEntity], bool]:
    """``Name eq @parameter`` or ``Name eq 'text'`` as a predicate."""
    match = re.fullmatch(r"(\w+) (eq|ne|lt|le|gt|ge) (?:@(\w+)|'([^']*)')", text.strip())
    if match is None:
        raise ValueError(f"The tables in memory do not know the filter {text!r}.")
    compare, wanted = _COMPARES[match[2]], parameters[match[3]] if match[3] else match[4]

    def holds(entity: TableEntity) -> bool:
        value = entity.get(match[1])
        kind = datetime if isinstance(wanted, datetime) else type(wanted)
        return isinstance(value, kind) and compare(value, wanted)

    return holds
