"""`coldsite lab`: the whole architecture on this machine, without an Azure account."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import webbrowser
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import show
from cli.api import ENDPOINTS
from lab.actions import Actions
from lab.breaking import Breaking
from lab.cloud.identity import TENANT
from lab.host.engine import PROGRAM
from lab.options import LabOptions
from lab.processes import ChildStartError
from lab.runner import run_scenario
from lab.scenario import PROJECT, ScenarioError, load_scenario
from lab.site import world
from lab.site.world import UnknownTargetError
from lab.twin import Lab
from shared.models.durations import spoken
from shared.models.errors import PlanError
from shared.models.resource_ids import take_apart
from shared.plans.loader import load_plan

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="A digital twin of both sites, Azure and the customers, to try everything on this machine.",
)
PEOPLE = {"ada": ["operator", "approver"], "ben": ["operator", "approver"], "vic": ["viewer"], "nobody": []}
"""The people of a lab that is started with ``--sign-in``; the command uses the first."""
SCENARIOS = PROJECT / "lab" / "scenarios"
EngineOption = Annotated[
    str | None,
    typer.Option(
        "--engine",
        envvar=PROGRAM,
        metavar="PROGRAM",
        help="Run the durable functions on this program instead of the in-memory hub; lab/engine builds one on "
        "Microsoft's own storage provider.",
    ),
]
out = show.console()


@app.command("list")
def list_scenarios() -> None:
    """List the scenarios that come with Coldsite, each in a sentence."""
    for path in sorted(SCENARIOS.glob("*.yaml")):
        scenario, _, _ = load_scenario(path)
        out.print(f"[bold]{path.relative_to(PROJECT)}[/]  {scenario.about or scenario.name}")
    out.print("\nRun one with `coldsite lab run FILE`.")


@app.command("run")
def run(
    files: Annotated[list[Path], typer.Argument(help="Scenario files.", metavar="SCENARIO.yaml...")],
    speed: Annotated[
        float | None, typer.Option(min=0.1, max=200, help="Simulated seconds in each real second.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the report there (one scenario).")] = None,
    engine: EngineOption = None,
) -> None:
    """Run scenarios. Status 0: every expectation holds; 1: an expectation fails, and is named; 2: bad input."""
    if json_file:
        try:
            json_file.touch()
        except OSError as error:
            show.console(stderr=True).print(
                f"{json_file}: cannot be written: {error.strerror}", style="red", markup=False
            )
            raise typer.Exit(2) from None
    failed = False
    for file in files:
        try:
            report = _run(file, speed, engine)
        except (ScenarioError, PlanError, UnknownTargetError, ChildStartError) as error:
            show.console(stderr=True).print(str(error), style="red", markup=False)
            raise typer.Exit(2) from None
        if json_file:
            json_file.write_text(json.dumps(report, indent=2) + "\n")
        for failure in report["failures"]:
            out.print(f"  differs: {failure}", style="red", markup=False)
        word, style = ("passed", "green") if report["passed"] else ("failed", "red")
        out.print(f"{report['scenario']}: {word}", style=style, markup=False)
        failed = failed or not report["passed"]
    raise typer.Exit(1 if failed else 0)


def _run(file: Path, speed: float | None, engine: str | None) -> dict[str, Any]:
    scenario, plan, plan_file = load_scenario(file)
    chosen = speed or scenario.speed
    out.print(f"[bold]{scenario.name}[/] (one real second is {chosen:g} simulated ones)")

    def tell(at: float, text: str) -> None:
        out.print(f"  {spoken(max(0, at)):>12}  {text}", markup=False)

    _quiet()
    return asyncio.run(_until_terminated(run_scenario(scenario, plan, plan_file, file.parent, chosen, tell, engine)))


async def _until_terminated[T](work: Coroutine[Any, Any, T]) -> T:
    """Runs to the end, or until SIGTERM: then every started process is ended first, as with Ctrl-C."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise typer.Exit(143) from None


def _quiet() -> None:
    """The console shows the story; the details are in the lab's log files."""
    logging.getLogger().setLevel(logging.CRITICAL)


@app.command("up")
def up(
    speed: Annotated[float, typer.Option(min=0.1, max=200, help="Simulated seconds in each real second.")] = 10.0,
    plan: Annotated[Path, typer.Option(help="The plan to run.")] = PROJECT / "plans" / "contoso.yaml",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The Functions host's port; 0 takes a free one.")] = 7071,
    sign_in: Annotated[
        bool, typer.Option("--sign-in", help="Require sign-in: creates the tokens of a viewer, an operator and so on.")
    ] = False,
    opened: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page that breaks things, in your browser.")
    ] = True,
    engine: EngineOption = None,
) -> None:
    """Start the lab and keep it running until Ctrl-C. Its endpoints are written to .lab/endpoints.json."""
    _quiet()
    try:
        options = LabOptions(speed=speed, port=port, people=PEOPLE if sign_in else {}, engine=engine)
        asyncio.run(_up(plan, options, shown=opened and sys.stdout.isatty()))
    except (PlanError, ChildStartError, OSError) as error:
        show.console(stderr=True).print(str(error), style="red", markup=False)
        raise typer.Exit(2) from None


async def _up(plan_file: Path, options: LabOptions, *, shown: bool) -> None:
    plan = load_plan(plan_file)
    stop = asyncio.Event()
    for wanted in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(wanted, stop.set)
    out.print("Starting the lab ...")
    async with Lab(plan, plan_file, options) as lab:
        ENDPOINTS.parent.mkdir(exist_ok=True)
        ENDPOINTS.write_text(json.dumps(endpoints(lab), indent=2) + "\n")
        out.print(f"The lab is running; its endpoints are in {ENDPOINTS}", markup=False)
        page = f"{lab.functions.url}/api/dashboard?code={lab.functions.function_key}"
        breaking = Breaking(Actions(lab, PROJECT), page)
        breaks = await breaking.start()
        out.print(f"The page: {page}", markup=False, soft_wrap=True)
        out.print(f"Break something, and watch: {breaks}", markup=False, soft_wrap=True)
        if shown:
            webbrowser.open(breaks)
        out.print(
            f"In another terminal: `coldsite` shows the status, `coldsite drill {plan.name}` starts a drill.",
            markup=False,
        )
        out.print("Ctrl-C stops it.")
        sys.stdout.flush()
        await stop.wait()
        await breaking.stop()
    ENDPOINTS.unlink(missing_ok=True)


def endpoints(lab: Lab) -> dict[str, Any]:
    """The endpoints and keys for tools outside the lab."""
    workloads = lab.plan.recovery.workloads
    return {
        "functions": lab.functions.url,
        "function_key": lab.functions.function_key,
        "master_key": lab.functions.master_key,
        "alerts_key": lab.functions.keys["alerts"],
        "tokens": {name: lab.identity.person_token(name, roles) for name, roles in lab.options.people.items()},
        "dashboard": f"{lab.functions.url}/api/dashboard",
        "arm": lab.front.url,
        "ca_bundle": str(lab.ca_bundle),
        "identity_endpoint": lab.front.identity_url,
        "identity_header": lab.identity.person_header,
        "dns": f"127.0.0.1:{lab.dns.port}",
        "tables": lab.storage.connection_string,
        "subscription_id": take_apart(lab.plan.recovery.resource_group).subscription,
        "tenant_id": TENANT,
        "speed": lab.clock.speed,
        "sites": {
            "primary": {
                "public": f"{world.PRIMARY_PUBLIC}:{lab.ports.https}",
                **{name: _place(lab, f"primary/{name}") for name in workloads},
            },
            "recovery": {
                "public": f"{world.RECOVERY_PUBLIC}:{lab.ports.https}",
                **{name: lab.recovery_place(name) for name in workloads},
            },
        },
    }


def _place(lab: Lab, key: str) -> str:
    address, port, _ = lab.sites.stands[key].places["internal"]
    return f"{address}:{port}"
