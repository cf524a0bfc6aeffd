"""`python -m lab.chaos`: every crash point, every fault of Azure, and random bad days."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from lab.chaos import faults
from lab.chaos.cells import Cell, app_activities, matrix_cells, uncovered
from lab.chaos.runs import CellResult, Runner, side_by_side
from lab.chaos.stories import STORIES
from lab.chaos.table import show

Part = Literal["matrix", "faults", "random"]

HELP = """
Plays failures against Coldsite, each story in a lab of its own.

matrix: in every story of lab/chaos/stories.py the worker is killed (as by kill -9) before and after each activity that
occurs in it, and during it: between a write to Azure or to the history and its answer. The final state must equal that
of the same story without a crash: the same site, nothing built twice, the same history. The list of activities is the
app's own. A worker's process that dies alone fails its activities; with --loses instance the work of a whole instance
waits until its messages are visible again.

faults: Azure's faults, from lab/chaos/faults.py. Each story ends in success, or a notification is sent and a person
continues it.

random: bad days generated from a seed. The invariants of lab/chaos/watching.py must hold.

Status 0: everything holds. 1: something does not, and each failure comes with the command that plays it alone.
2: the requested story does not exist.
"""


def main(
    only: Annotated[Part | None, typer.Option(help="Only this part; without it, all three.")] = None,
    story: Annotated[str | None, typer.Option(help="Only this story of the matrix or of the faults.")] = None,
    activity: Annotated[str | None, typer.Option(help="Only this activity's crash points.")] = None,
    when: Annotated[
        Literal["before", "during-azure", "during-history", "after"] | None, typer.Option(help="Only this crash point.")
    ] = None,
    loses: Annotated[
        Literal["process", "instance"],
        typer.Option(help="What the matrix kills: the worker's process alone, or the whole instance."),
    ] = "process",
    seed: Annotated[int | None, typer.Option(help="The seed of the random stories; by default a new one.")] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many random stories.")] = 30,
    number: Annotated[int | None, typer.Option(help="Only this random story of the seed.")] = None,
    jobs: Annotated[int, typer.Option(min=1, max=16, help="How many labs at a time; one needs about a core.")] = 2,
    speed: Annotated[float, typer.Option(min=1, max=120, help="Simulated seconds in each real second.")] = 60.0,
    trace: Annotated[bool, typer.Option("--trace", help="Print the events of every story.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results to this file.")] = None,
) -> None:
    out = Console(highlight=False, emoji=False)
    began = time.monotonic()
    _known(out, only, story, activity)
    index = app_activities()
    if activity and activity not in index:
        _refuse(out, f"--activity {activity} is not one of {', '.join(index)}")
    parts: list[Part] = [only] if only else ["matrix", "faults", "random"]
    if activity or when:
        parts = ["matrix"]
    others: list[Cell] = []
    if "faults" in parts:
        others += [Cell("faults", name) for name in faults.STORIES if story in (None, name)]
    if "random" in parts and not story:
        seed = secrets.randbelow(10**6) if seed is None else seed
        out.print(f"The random stories come from --seed {seed}.")
        numbers = range(count) if number is None else [number]
        others += [Cell("random", "", seed=seed, number=n, activities=tuple(index)) for n in numbers]
    problems: list[str] = []
    with side_by_side(jobs) as pool, _progress(out) as progress:
        runner = Runner(pool, jobs, speed, _teller(out, progress, trace))
        if "matrix" in parts:
            chosen = [Cell("matrix", name) for name in STORIES if story in (None, name)]
            progress.add_task("", total=len(chosen))
            runner.run(chosen)
            occurring = {name: played.activities for name, played in runner.references.items()}
            crashes = [cell for name, found in occurring.items() for cell in matrix_cells(STORIES[name], found, loses)]
            others = [c for c in crashes if activity in (None, c.activity) and when in (None, c.when)] + others
            if not (story or activity or when):
                problems = uncovered(index, occurring)
        progress.add_task("", total=len(others))
        runner.run(others)
    seconds = time.monotonic() - began
    show(out, runner.results, problems, seconds)
    if json_file:
        json_file.write_text(json.dumps(_plain(runner.results, problems, seed, seconds), indent=1) + "\n")
    raise typer.Exit(0 if not problems and all(result.passed for result in runner.results) else 1)


def _refuse(out: Console, why: str) -> None:
    out.print(why, style="red", markup=False)
    raise typer.Exit(2)


def _known(out: Console, only: Part | None, story: str | None, activity: str | None) -> None:
    known = {"matrix": [*STORIES], "faults": [*faults.STORIES], "random": [], None: [*STORIES, *faults.STORIES]}[only]
    if story and story not in known:
        _refuse(out, f"--story {story} is not one of {', '.join(known)}")
    if activity and only not in (None, "matrix"):
        _refuse(out, "--activity is for the matrix alone.")


def _progress(out: Console) -> Progress:
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=out, transient=True, disable=not out.is_terminal)


def _teller(out: Console, progress: Progress, trace: bool) -> Callable[[CellResult], None]:
    def tell(result: CellResult) -> None:
        task = progress.task_ids[-1]
        progress.update(task, advance=1, description=result.cell.title)
        word = "holds" if result.passed else "FAILS"
        if not out.is_terminal or not result.passed or trace:
            out.print(
                f"{word}  {result.cell.title}  {result.played.seconds:.0f} s",
                markup=False,
                style=None if result.passed else "red",
            )
        for line in result.played.log if trace or not result.passed else []:
            out.print(f"    {line}", markup=False, style="dim")

    return tell


def _plain(results: list[CellResult], problems: list[str], seed: int | None, seconds: float) -> dict[str, object]:
    cells = [
        {
            "kind": result.cell.kind,
            "story": result.cell.story,
            "activity": result.cell.activity,
            "when": result.cell.when,
            "number": result.cell.number,
            "passed": result.passed,
            "failures": result.played.failures,
            "seconds": round(result.played.seconds, 1),
            "command": result.cell.command,
        }
        for result in results
    ]
    return {"seed": seed, "seconds": round(seconds, 1), "problems": problems, "cells": cells}


if __name__ == "__main__":
    main.__doc__ = HELP
    typer.run(main)
