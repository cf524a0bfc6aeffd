"""Plays cells in processes of their own, side by side; those of the matrix are judged by their references."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass

from lab.chaos.cells import Cell, run_cell
from lab.chaos.stage import Played


@dataclass
class CellResult:
    """One cell and its result."""

    cell: Cell
    played: Played

    @property
    def passed(self) -> bool:
        return not self.played.failures


class Runner:
    """``jobs`` labs at a time. ``tell`` is called for each cell as soon as it has ended."""

    def __init__(self, pool: ProcessPoolExecutor, jobs: int, speed: float, tell: Callable[[CellResult], None]) -> None:
        self._pool = pool
        self._jobs = jobs
        self._speed = speed
        self._tell = tell
        self.results: list[CellResult] = []
        self.references: dict[str, Played] = {}

    def run(self, cells: list[Cell]) -> None:
        """Plays the cells; references are kept, and the cells of the matrix are compared with theirs."""
        waiting = list(reversed(cells))
        running: dict[Future[Played], Cell] = {}
        while waiting or running:
            while waiting and len(running) < self._jobs:
                cell = waiting.pop()
                reference = self.references.get(cell.story) if cell.activity else None
                running[self._pool.submit(run_cell, cell, self._speed, reference)] = cell
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                self._keep(running.pop(done), done.result())

    def _keep(self, cell: Cell, played: Played) -> None:
        if cell.kind == "matrix" and not cell.activity:
            self.references[cell.story] = played
        result = CellResult(cell, played)
        self.results.append(result)
        self._tell(result)


def _quiet() -> None:
    """The console shows the table; the details are in the lab's log files."""
    logging.getLogger().setLevel(logging.CRITICAL)


@contextmanager
def side_by_side(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end after one cell each, so that no lab inherits anything from another."""
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=fresh, max_tasks_per_child=1, initializer=_quiet)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
