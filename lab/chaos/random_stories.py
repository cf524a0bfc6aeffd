"""Random bad days. A seed and a number always give the same story; only the invariants judge it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from lab.chaos.story import Story

type Events = list[dict[str, Any]]

LAST = 400.0
"""Simulated seconds of possible faults; then everything is repaired."""


def tell(seed: int, number: int, activities: list[str]) -> Story:
    """The story ``number`` of ``seed``. ``activities`` is the app's index: workers die in any of them."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 (not for security)
    events: Events = []
    cause, begin = chance.choice(_CAUSES)
    begin(chance, events)
    if chance.random() < 0.4:
        events.append(_at(chance, 0, 150) | {"do": "operator.drill"})
    for _ in range(chance.randint(4, 8)):
        chance.choice(_TROUBLES)(chance, events, activities)
    for _ in range(chance.randint(0, 2)):
        word = chance.choice(["abort", "retry", "proceed", "approve", "reject"])
        events.append(_at(chance, 100, LAST) | {"do": f"operator.{word}", "reason": "chaos"})
    events.sort(key=lambda event: float(event["at"].removesuffix("s")))
    return Story(f"random {seed}/{number}", f"A bad day: {cause}.", tuple(events), closes=True)


def _at(chance: random.Random, first: float, last: float) -> dict[str, Any]:
    return {"at": f"{chance.uniform(first, last):.0f}s"}


def _later(chance: random.Random, event: dict[str, Any], least: float, most: float) -> dict[str, Any]:
    began = float(event["at"].removesuffix("s"))
    return {"at": f"{began + chance.uniform(least, most):.0f}s"}


# How the day begins


def _site_dies(chance: random.Random, events: Events) -> None:
    events.append(_at(chance, 5, 60) | {"do": "site.stop", "target": "primary"})
    if chance.random() < 0.3:
        events.append(_later(chance, events[-1], 20, 350) | {"do": "site.start", "target": "primary"})


def _sql_dies(chance: random.Random, events: Events) -> None:
    events.append(_at(chance, 5, 60) | {"do": "site.stop", "target": "primary/sql"})
    if chance.random() < 0.5:
        events.append(_later(chance, events[-1], 10, 300) | {"do": "site.start", "target": "primary/sql"})


def _lines_cut(chance: random.Random, events: Events) -> None:
    for path in ["public", "private"] if chance.random() < 0.6 else ["public"]:
        events.append(_at(chance, 5, 60) | {"do": "network.cut", "path": path})
        events.append(_later(chance, events[-1], 30, 400) | {"do": "network.heal", "path": path})


def _by_hand(chance: random.Random, events: Events) -> None:
    planned = {"do": "operator.failover", "mode": "planned", "reason": "chaos"}
    forced = {"do": "operator.failover", "acknowledge_primary_healthy": True, "reason": "chaos"}
    events.append(_at(chance, 5, 120) | chance.choice([planned, forced]))


def _all_is_well(chance: random.Random, events: Events) -> None:
    events.append(_at(chance, 5, 30) | {"do": "operator.drill"})


_CAUSES: list[tuple[str, Callable[[random.Random, Events], None]]] = [
    ("the primary dies", _site_dies),
    ("the primary dies", _site_dies),
    ("the primary dies", _site_dies),
    ("SQL Server dies", _sql_dies),
    ("lines are cut", _lines_cut),
    ("a person moves the customers", _by_hand),
    ("all is well", _all_is_well),
]

# What else goes wrong


def _azure_refuses(chance: random.Random, events: Events, activities: list[str]) -> None:
    operation, errors = chance.choice(_REFUSALS)
    fault = {"do": "arm.fault", "operation": operation, "error": chance.choice(errors), "times": chance.randint(1, 4)}
    events.append(_at(chance, 0, 200) | fault | ({"retry_after": "30m"} if fault["error"] == "429" else {}))


_PASSING = ["429", "500", "503", "reset", "lost"]
_REFUSALS: list[tuple[str, list[str]]] = [
    ("PUT virtualMachines", [*_PASSING, "hang", "AllocationFailed", "SkuNotAvailable", "QuotaExceeded"]),
    ("PUT disks", [*_PASSING, "hang"]),
    ("PUT snapshots", [*_PASSING, "hang"]),
    ("POST runCommand", _PASSING),
    ("PATCH externalEndpoints", [*_PASSING, "ignored"]),
    ("GET externalEndpoints", _PASSING),
    ("GET operations", _PASSING),
    ("GET diskOperations", _PASSING),
    ("DELETE virtualMachines", _PASSING),
    ("DELETE disks", _PASSING),
    ("DELETE snapshots", _PASSING),
]


def _worker_dies(chance: random.Random, events: Events, activities: list[str]) -> None:
    loses = chance.choice(["process", "instance"])
    if chance.random() < 0.3:
        gone = {"for": f"{chance.randint(10, 90)}s"} if chance.random() < 0.5 else {}
        events.append(_at(chance, 20, LAST) | {"do": "worker.kill", "when": "now", "loses": loses} | gone)
        return
    when = f"{chance.choice(['before', 'during', 'after'])}:{chance.choice(activities)}"
    times = chance.randint(1, 2)
    events.append(_at(chance, 0, 150) | {"do": "worker.kill", "when": when, "times": times, "loses": loses})


def _storage_goes(chance: random.Random, events: Events, activities: list[str]) -> None:
    events.append(_at(chance, 20, LAST - 100) | {"do": "storage.stop"})
    events.append(_later(chance, events[-1], 15, 90) | {"do": "storage.start"})


def _replication_suffers(chance: random.Random, events: Events, activities: list[str]) -> None:
    events.append(_at(chance, 0, 200) | {"do": "replication.state", "state": chance.choice(["mirroring", "stopped"])})
    events.append(_later(chance, events[-1], 30, 200) | {"do": "replication.state", "state": "good"})


def _line_flaps(chance: random.Random, events: Events, activities: list[str]) -> None:
    path = chance.choice(["private", "observer", "observer"])
    events.append(_at(chance, 0, 250) | {"do": "network.cut", "path": path})
    events.append(_later(chance, events[-1], 15, 150) | {"do": "network.heal", "path": path})


def _database_suffers(chance: random.Random, events: Events, activities: list[str]) -> None:
    state = chance.choice(["SUSPECT", "RECOVERY_PENDING", "RECOVERING", "OFFLINE"])
    events.append(_at(chance, 0, 200) | {"do": "sql.state", "target": "recovery/sql", "state": state})


def _wrong_page(chance: random.Random, events: Events, activities: list[str]) -> None:
    page = {"status": chance.choice([200, 500]), "body": "Under construction"}
    events.append(_at(chance, 0, 200) | {"do": "site.respond", "target": "recovery/iis"} | page)


def _hand_in_the_portal(chance: random.Random, events: Events, activities: list[str]) -> None:
    what = chance.choice(["traffic.disable", "traffic.enable"])
    events.append(_at(chance, 150, 350) | {"do": what, "endpoint": chance.choice(["primary", "recovery"])})


def _timer(chance: random.Random, events: Events, activities: list[str]) -> None:
    function = chance.choice(["take_recovery_points", "take_recovery_points", "start_drills", "housekeeping", "watch"])
    events.append(_at(chance, 0, LAST) | {"do": "timer.fire", "function": function})


def _pause(chance: random.Random, events: Events, activities: list[str]) -> None:
    events.append(_at(chance, 0, 250) | {"do": "operator.pause", "for": "60s", "reason": "chaos"})


def _region_in_trouble(chance: random.Random, events: Events, activities: list[str]) -> None:
    events.append(_at(chance, 0, 100) | {"do": "azure.health", "state": "trouble"})
    events.append(_later(chance, events[-1], 30, 300) | {"do": "azure.health", "state": "well"})


_TROUBLES: list[Callable[[random.Random, Events, list[str]], None]] = [
    _azure_refuses,
    _azure_refuses,
    _azure_refuses,
    _worker_dies,
    _worker_dies,
    _worker_dies,
    _storage_goes,
    _replication_suffers,
    _line_flaps,
    _database_suffers,
    _wrong_page,
    _hand_in_the_portal,
    _timer,
    _timer,
    _pause,
    _region_in_trouble,
]
