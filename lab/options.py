"""How to run a lab: the speed, what is installed, who the people are."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from lab.cloud.times import Times

PROJECT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Installed:
    """The app's folder, its Python, and the path of Microsoft's worker: by default all of this environment."""

    folder: Path = PROJECT
    python: str = sys.executable
    platform: Path = PROJECT


@dataclass
class LabOptions:
    """How to run the lab. ``workers`` is the number of Python workers; ``customers_every`` is in simulated seconds."""

    speed: float = 60.0
    workers: int = 1
    times: Times = field(default_factory=Times)
    customers_every: float = 5.0
    replication_lag: float = 3.0
    port: int = 0
    watch_tables: bool = False
    """Whether writes to the history are watched, so that a worker can be killed between one and its answer."""
    people: dict[str, list[str]] = field(default_factory=dict)
    """The people with their roles. If there are any, sign-in is required and alerts come with tokens."""
    installed: Installed = Installed()
    real_schedules: bool = False
    """Whether the plan's schedules stay as they are. At speed a calendar means nothing, so by default a drill is due
    whenever its timer fires."""
    engine: str | None = None
    """A program to run the durable functions on; by default the hub in memory, or what COLDSITE_LAB_ENGINE names."""
    keeps_folder: bool = field(default_factory=lambda: os.environ.get("COLDSITE_LAB_KEEP", "0") != "0")
    """Whether the lab's folder, with its logs, stays when the lab has ended."""
    keeps_documents: bool = False
    """Whether there is a blob container for copies of documents; its policy is not simulated."""
