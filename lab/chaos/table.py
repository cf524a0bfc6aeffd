"""The results of a chaos run for people: one table, the totals, and each failure in sentences."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lab.chaos.cells import WHEN
from lab.chaos.runs import CellResult
from shared.models.durations import spoken


def show(out: Console, results: list[CellResult], problems: list[str], seconds: float) -> None:
    table = Table(title="Chaos", title_justify="left", show_edge=False)
    table.add_column("story")
    table.add_column("activity or fault")
    for column in WHEN:
        table.add_column(column.replace("-", "\n"), justify="center")
    _matrix(table, [r for r in results if r.cell.kind == "matrix"])
    _others(table, "faults", {r.cell.story: r for r in results if r.cell.kind == "faults"})
    _others(table, "random", {f"{r.cell.seed}/{r.cell.number}": r for r in results if r.cell.kind == "random"})
    out.print(table)
    failed = [result for result in results if not result.passed]
    for result in failed:
        out.print(f"\n[red]{escape(result.cell.title)}[/]")
        for failure in result.played.failures:
            out.print(f"  {failure}", markup=False)
        out.print(f"  Alone: {result.cell.command}", markup=False, style="dim", soft_wrap=True)
    for problem in problems:
        out.print(f"\n[red]The matrix itself:[/] {escape(problem)}")
    slowest = max(results, key=lambda r: r.played.seconds, default=None)
    summary = f"\n{len(results) - len(failed)} of {len(results)} cells hold, in {spoken(seconds)}"
    if slowest:
        summary += f"; the slowest is {slowest.cell.title} with {slowest.played.seconds:.0f} s"
    out.print(f"{summary}.", style="green" if not failed and not problems else "red", markup=False)


def _mark(result: CellResult | None) -> str:
    if result is None:
        return ""
    return "[green]✓[/]" if result.passed else "[red]✗[/]"


def _matrix(table: Table, results: list[CellResult]) -> None:
    by_place = {(r.cell.story, r.cell.activity, r.cell.when): r for r in results}
    for story in dict.fromkeys(r.cell.story for r in results):
        table.add_row(f"[bold]{story}[/]", "without a crash", _mark(by_place.get((story, "", ""))))
        for activity in dict.fromkeys(r.cell.activity for r in results if r.cell.story == story and r.cell.activity):
            marks = [_mark(by_place.get((story, activity, when))) for when in WHEN]
            table.add_row("", activity, *marks)
        table.add_section()


def _others(table: Table, kind: str, results: dict[str, CellResult]) -> None:
    for number, (name, result) in enumerate(results.items()):
        table.add_row(f"[bold]{kind}[/]" if number == 0 else "", name, _mark(result))
    if results:
        table.add_section()
