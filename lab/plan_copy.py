"""The plan as the lab runs it: every duration divided by the speed, every address on this machine's loopback."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from shared.models.durations import IoTimeoutMark
from shared.models.plan import TEXTS_OF_FILES, RecoveryPlan
from shared.models.probes import HttpProbe, SqlProbe

IO_FLOOR = timedelta(seconds=2)
"""Time-outs of real input and output are never scaled below this."""


def merge(base: Any, overrides: Any) -> Any:
    """Merges mappings deeply; everything else, lists above all, is replaced. A hook replaces a script, and a script a
    hook.
    """
    if not isinstance(base, dict) or not isinstance(overrides, dict):
        return overrides
    replaced = {"hook": {"script", "on"}, "script": {"hook"}}
    gone = {key for word, others in replaced.items() if word in overrides for key in others - overrides.keys()}
    kept = {key: value for key, value in base.items() if key not in gone}
    return kept | {key: merge(base.get(key), value) for key, value in overrides.items()}


def loopback(address: str) -> str:
    """10.20.1.5 becomes 127.20.1.5: every private address has a twin on this machine."""
    parts = address.split(".")
    return ".".join(["127", *parts[1:]]) if len(parts) == 4 and parts[0].isdigit() else address


class Ports:
    """One port for each kind of server; every machine uses the same ones on an address of its own."""

    def __init__(self, https: int, http: int, sql: int) -> None:
        self.https = https
        self.http = http
        self.sql = sql


def scaled(value: Any, speed: float, io_timeout: bool = False) -> Any:
    """A copy of a model, list, mapping or duration with every duration divided by ``speed``."""
    if isinstance(value, timedelta):
        shorter = value / speed
        return min(value, max(shorter, IO_FLOOR)) if io_timeout else shorter
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        changes = {
            name: scaled(getattr(value, name), speed, any(isinstance(m, IoTimeoutMark) for m in field.metadata))
            for name, field in fields.items()
        }
        return value.model_copy(update=changes)
    if isinstance(value, list):
        return [scaled(item, speed, io_timeout) for item in value]
    if isinstance(value, dict):
        return {key: scaled(item, speed, io_timeout) for key, item in value.items()}
    return value


def _moved(value: Any, ports: Ports) -> Any:
    """A copy in which every probe asks this machine."""
    if isinstance(value, SqlProbe):
        server = loopback(value.server) if value.server else None
        return value.model_copy(update={"server": server, "port": ports.sql})
    if isinstance(value, HttpProbe):
        where = value.connect_to
        connect_to = loopback(where) if where and where[0].isdigit() else where
        return value.model_copy(update={"connect_to": connect_to, "port": ports.https if value.host else ports.http})
    if isinstance(value, BaseModel):
        return value.model_copy(update={n: _moved(getattr(value, n), ports) for n in type(value).model_fields})
    if isinstance(value, list):
        return [_moved(item, ports) for item in value]
    if isinstance(value, dict):
        return {key: _moved(item, ports) for key, item in value.items()}
    return value


def write_copy(
    plan: RecoveryPlan, original: Path, folder: Path, speed: float, ports: Ports, *, real_schedules: bool = False
) -> Path:
    """Writes the lab's copy of a plan with its scripts and queries, and returns its path.

    A calendar means nothing at speed, so a drill is due whenever its timer fires, and scenarios fire it; with
    ``real_schedules`` it is due when the plan says so.
    """
    copy: RecoveryPlan = scaled(_moved(plan, ports), speed)
    data = copy.model_dump(mode="json", by_alias=True, exclude=TEXTS_OF_FILES)
    for workload in data["recovery"]["workloads"].values():
        workload["address"] = {role: loopback(address) for role, address in workload["address"].items()}
    if data["drill"]["schedule"] and not real_schedules:
        data["drill"]["schedule"] = "* * * * * *"
    folder.mkdir(parents=True, exist_ok=True)
    beside = original.parent / plan.name
    if beside.is_dir():
        shutil.copytree(beside, folder / plan.name, dirs_exist_ok=True)
    if plan.replication.scripts and plan.replication.scripts != plan.name:
        shutil.copytree(
            original.parent / plan.replication.scripts, folder / plan.replication.scripts, dirs_exist_ok=True
        )
    path = folder / f"{plan.name}.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False), encoding="utf-8")
    return path
