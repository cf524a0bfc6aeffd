"""`coldsite plan`: write a plan, validate it, show it, print its schema for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity import DefaultAzureCredential
from rich.text import Text

from cli import show
from cli.options import Key, Plan, Url, api_of, needs_clone, out
from cli.output import Format, Output, Printing, emit
from shared.models.durations import parse_duration, spoken
from shared.models.errors import PlanError
from shared.plans.loader import load_plan
from shared.plans.schema import json_schema

plan_app = typer.Typer(
    no_args_is_help=True, help="Recovery plans: write, validate and show them, and print their schema."
)


@plan_app.command("init")
def init(
    name: Annotated[str, typer.Argument(help="The plan's name: lower-case letters, digits and hyphens.")],
    subscription: Annotated[
        str, typer.Option("--subscription", "-s", envvar="AZURE_SUBSCRIPTION_ID", help="The subscription to read.")
    ],
    folder: Annotated[Path | None, typer.Option(help="The folder for the plan; by default the clone's.")] = None,
) -> None:
    """Write a plan from the resources in your subscription. It reads with the account of `az login`, asks at most
    eight questions, and starts in observe mode. Status 2 when something is missing; then nothing is written.
    """
    with needs_clone("coldsite plan init"):
        from cli.discover import UnclearError, discover
        from cli.plan_init import PLANS, write_plan
    out.print(f"Reading subscription {subscription} ...", markup=False)
    try:
        with DefaultAzureCredential() as credential:
            found = discover(subscription, credential)
        path, settings = write_plan(name, found, _ask, folder or PLANS)
    except (UnclearError, PlanError, AzureError, OSError) as error:
        if isinstance(error, ClientAuthenticationError):
            error = UnclearError(
                ["No signed-in account may read this subscription. Run `az login`, then repeat the command."]
            )
        show.console(stderr=True).print(str(error), style="red", markup=False, soft_wrap=True)
        raise typer.Exit(2) from None
    out.print(f"Written: {path}. Read it, then run `coldsite plan validate {path}`. For azd:", markup=False)
    for setting, value in settings.items():
        out.print(f"  azd env set {setting} {value}", markup=False, soft_wrap=True)


def _ask(question: str, offered: list[str], default: str) -> str:
    if not offered:
        return str(typer.prompt(question, default=default))
    for number, choice in enumerate(offered, start=1):
        out.print(f"  {number}  {choice}", markup=False)
    first = offered.index(default) + 1
    while not 1 <= (chosen := int(typer.prompt(question, default=first, type=int))) <= len(offered):
        out.print(f"  Enter a number from 1 to {len(offered)}.", markup=False)
    return offered[chosen - 1]


@plan_app.command("validate")
def validate(files: Annotated[list[Path], typer.Argument(help="Plan files.")]) -> None:
    """Validate plan files; every problem is shown with file, key, value and what was expected. Status 2 on problems."""
    bad = False
    for file in files:
        try:
            plan = load_plan(file)
        except PlanError as error:
            bad = True
            out.print(str(error), style="red", markup=False)
        else:
            workloads = ", ".join(plan.recovery.workloads)
            out.print(f"{file}: valid. {plan.title}: {workloads}; mode {plan.detection.mode}.", markup=False)
            out.print(f"  App settings that it uses: {', '.join(plan.settings)}.", markup=False)
            out.print(show.expected_lines(plan))
    raise typer.Exit(2 if bad else 0)


@plan_app.command("schema")
def schema() -> None:
    """Print the plan file's JSON Schema, for completion and validation in editors."""
    print(json.dumps(json_schema(), indent=2))


@plan_app.command("show", cls=Printing)
def show_plan(plan: Plan, output: Output = Format.TABLE, url: Url = None, key: Key = None) -> None:
    """Show a deployed plan and its status."""
    api = api_of(url, key)
    found = api.get(f"plans/{quote(plan, safe='')}")
    if output is not Format.TABLE:
        emit(found, output)
        return
    out.print(show.plan_line(found))
    detail = found["plan"]
    wanted = {
        name: spoken(parse_duration(value).total_seconds() * api.target.speed)
        for name, value in detail["objectives"].items()
    }
    out.print(f"Objectives: recovery time {wanted['recovery_time']}, data loss {wanted['recovery_point']}.")
    out.print(Text(show.replica_line(found)))
    out.print(f"Mode {detail['detection']['mode']}; checks: {', '.join(detail['detection']['signals'])}.")
    if found["short_failures"]:
        count, newest = found["short_failures"], show.moment(found["short_failure_at"])
        out.print(f"Short failures of the primary that started nothing: {count}, the newest at {newest}.")
    for name, workload in detail["recovery"]["workloads"].items():
        needs = ", ".join(f"{n} {how}" for n, how in workload["depends_on"].items())
        after = f", after {needs}" if needs else ""
        out.print(f"  {name}: fallback sizes {', '.join(workload['sizes'])}{after}")
    if found["events"]:
        out.print("Events between runs (UTC):")
        out.print(show.events(found["events"]))
