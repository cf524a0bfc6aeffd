"""The `coldsite` command: status, next steps, and actions, over the HTTP API."""

from __future__ import annotations

import io
import logging
import sys
from importlib import metadata
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.text import Text
from typer.core import TyperGroup

from cli import context_commands, fleet, show
from cli.advice import advice
from cli.answer_commands import answers_app
from cli.api import Api, ApiError, UnreachableError, remember
from cli.contexts import ContextError
from cli.evidence_command import evidence_app
from cli.following import follow
from cli.notify_commands import notify_app
from cli.options import Key, NoWait, Plan, Reason, Url, WhatIf, Yes, api_of, confirm, needs_clone, out
from cli.output import Format, Output, Printing, emit
from cli.plan_commands import plan_app
from cli.run_commands import runs_app


class Commands(TyperGroup):
    """``lab`` is read only when it is used: that takes a second, and an installation of the command alone lacks it."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name != "lab":
            return name, command, rest
        try:
            with needs_clone("coldsite lab"):
                from cli.lab import app as lab
        except ApiError:
            if ctx.resilient_parsing:  # A shell asks what could follow.
                return name, command, rest
            raise
        return name, typer.main.get_command(lab), rest


app = typer.Typer(
    cls=Commands,
    no_args_is_help=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Disaster recovery for sites whose machines in Azure do not exist until they are needed.\n\n"
    "Without a command, `coldsite` shows the status and what to do next.",
)
app.add_typer(plan_app, name="plan")
app.add_typer(runs_app, name="runs")
app.add_typer(notify_app, name="notify")
app.add_typer(context_commands.app, name="context")
app.add_typer(fleet.app, name="fleet")
app.add_typer(answers_app)
app.add_typer(evidence_app)


@app.callback(invoke_without_command=True)
def overview(
    context: typer.Context,
    url: Url = None,
    key: Key = None,
    named: Annotated[str | None, typer.Option("--context", help="The Coldsite of that name.")] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Show the status, and what to do next."""
    if version:
        print(metadata.version("coldsite"))
        raise typer.Exit
    remember(url, key, named)
    if context.invoked_subcommand:
        return
    _status(url, key, Format.TABLE)


@app.command(cls=Printing)
def status(output: Output = Format.TABLE, url: Url = None, key: Key = None) -> None:
    """Show the status of every plan, and what to do next; the same as `coldsite` alone."""
    _status(url, key, output)


def _status(url: str | None, key: str | None, output: Format) -> None:
    api = api_of(url, key)
    plans = api.get("plans")["plans"]
    if output is not Format.TABLE:
        emit(plans, output)
        return
    for plan in plans:
        out.print(show.plan_line(plan))
    runs = api.get("runs?limit=5")["runs"]
    if runs:
        out.print(show.runs_table(runs, api.target.speed))
    out.print(Text(advice(plans), style="bold"))


@app.command("lab")
def lab_commands() -> None:
    """Try everything on this machine: a digital twin of both sites, Azure and the customers."""


# Acting


@app.command(cls=Printing)
def failover(
    plan: Plan,
    reason: Reason,
    planned: Annotated[
        bool, typer.Option("--planned", help="Lose nothing: stop the primary's writes first. The plan needs a fence.")
    ] = False,
    primary_is_healthy: Annotated[
        bool,
        typer.Option(
            "--primary-is-healthy", help="Fail over although the primary is serving; its unreplicated changes are lost."
        ),
    ] = False,
    recovery_point: Annotated[
        str, typer.Option(help="latest, latest_good, the id of a set, or before:TIME.")
    ] = "latest",
    workload: Annotated[
        list[str] | None,
        typer.Option(help="While customers are in Azure: build this one again there (default: those that fail)."),
    ] = None,
    what_if: WhatIf = False,
    yes: Yes = False,
    no_wait: NoWait = False,
    output: Output = Format.TABLE,
    url: Url = None,
    key: Key = None,
) -> None:
    """Fail PLAN over to Azure: build the machines, verify them, cut over, disable the primary endpoint."""
    api = api_of(url, key)
    body = {
        "mode": "planned" if planned else "unplanned",
        "acknowledge_primary_healthy": primary_is_healthy,
        "recovery_point": recovery_point,
        "workloads": workload or [],
        "reason": reason,
    }
    if what_if:
        _print_forecast(api, api.post(f"plans/{quote(plan, safe='')}/failover?what_if=true", body), output)
        return
    found = api.get(f"plans/{quote(plan, safe='')}")
    if output is Format.TABLE:
        out.print(show.plan_line(found))
    if not yes:
        expected = api.post(f"plans/{quote(plan, safe='')}/failover?what_if=true", body)
        out.print(show.forecast_lines(expected, api.target.speed))
        confirm(api, _failover_question(found, planned, primary_is_healthy), yes)
    try:
        run = api.post(f"plans/{quote(plan, safe='')}/failover", body)
    except ApiError as error:
        if error.body.get("evidence") and output is Format.TABLE:
            out.print(show.check_lines(error.body))
        raise
    _follow_or_print(api, run, output, no_wait)


def _failover_question(plan: dict[str, Any], planned: bool, primary_is_healthy: bool) -> str:
    """The question, with the action and its cost."""
    if plan["active_site"] == "recovery":
        return "Customers are in Azure already. Build the machines named above again there?"
    moves = f"Build {plan['title']} in Azure and cut over?"
    if planned:
        return f"The primary's writes are stopped first, and nothing is lost. {moves}"
    if primary_is_healthy:
        return f"The primary's changes until the cutover will be lost. {moves}"
    data = (plan.get("replica") or {}).get("data_until")
    known = f"Azure's data reach at least {show.moment(data)}." if data else "The age of Azure's data is unknown."
    return f"{known} {moves}"


@app.command(cls=Printing)
def check(plan: Plan, output: Output = Format.TABLE, url: Url = None, key: Key = None) -> None:
    """Run every check of PLAN once, now, and show the results. Nothing is started."""
    found = api_of(url, key).get(f"plans/{quote(plan, safe='')}/check")
    if output is not Format.TABLE:
        emit(found, output)
        return
    out.print(show.check_lines(found))
    blind = [item["signal"] for item in found["evidence"] if item["state"] == "no_data"]
    message = {"up": "The primary site answers.", "down": "The primary site does not answer."}.get(
        found["says"], "The checks do not agree." if found["says"] == "unclear" else "Coldsite has lost connectivity."
    )
    tail = f" No data from {', '.join(blind)}: fix the problem on its line." if blind else ""
    out.print(Text(message + tail, style="bold"))


@app.command(cls=Printing)
def readiness(plan: Plan, output: Output = Format.TABLE, url: Url = None, key: Key = None) -> None:
    """Find what would go wrong in a failover of PLAN tonight. Status 1: something blocks it. Nothing is changed."""
    found = api_of(url, key).get(f"plans/{quote(plan, safe='')}/readiness")
    if output is not Format.TABLE:
        emit(found, output)
    else:
        out.print(show.readiness_lines(found))
    if not found["ready"]:
        raise typer.Exit(1)


@app.command(cls=Printing)
def points(plan: Plan, output: Output = Format.TABLE, url: Url = None, key: Key = None) -> None:
    """List the recovery points of PLAN, newest first. `coldsite failover PLAN --recovery-point ID` uses one."""
    found = api_of(url, key).get(f"plans/{quote(plan, safe='')}/points")["points"]
    if output is not Format.TABLE:
        emit(found, output)
    elif found:
        out.print(show.points_table(found))
    else:
        out.print("There is no recovery point yet. A failover takes its own.")


@app.command(cls=Printing)
def drill(
    plan: Plan,
    reason: Reason = "A drill",
    what_if: WhatIf = False,
    yes: Yes = False,
    no_wait: NoWait = False,
    output: Output = Format.TABLE,
    url: Url = None,
    key: Key = None,
) -> None:
    """Test PLAN without touching customers: build everything in the drill network, verify, measure, clean up."""
    api = api_of(url, key)
    if what_if:
        found = api.post(f"plans/{quote(plan, safe='')}/drill?what_if=true", {"reason": reason})
        _print_forecast(api, found, output)
        return
    confirm(api, f"Run a drill of {plan} in its isolated network? Customers are not touched.", yes)
    _follow_or_print(api, api.post(f"plans/{quote(plan, safe='')}/drill", {"reason": reason}), output, no_wait)


@app.command(cls=Printing)
def failback(
    plan: Plan,
    reason: Reason,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Check home until it is ready, and end there.")] = False,
    at: Annotated[
        str | None,
        typer.Option(help="When Azure's writes may stop at the earliest, for example 2027-01-15T22:00+01:00."),
    ] = None,
    what_if: WhatIf = False,
    yes: Yes = False,
    no_wait: NoWait = False,
    output: Output = Format.TABLE,
    url: Url = None,
    key: Key = None,
) -> None:
    """Bring the customers of PLAN home: prove home, stop Azure's writes, copy the rest, cut back, watch, commit.

    The databases are copied by your own script or by Double-Take (docs/failback.md). Nothing is stopped before a person
    has signed; until customers move, `coldsite abort` lets Azure continue as before.
    """
    api, path = api_of(url, key), f"plans/{quote(plan, safe='')}/failback"
    body = {"rehearse": rehearse, "reason": reason} | ({"at": at} if at else {})
    found = {} if yes and not what_if else api.post(f"{path}?what_if=true", body)
    if what_if and output is not Format.TABLE:
        emit(found, output)
    elif found and output is Format.TABLE:
        out.print(show.failback_lines(found, api.target.speed))
    if what_if:
        raise typer.Exit(1 if found["blockers"] else 0)
    confirm(
        api,
        "Rehearse the failback?"
        if rehearse
        else "Start the failback? A plan with sign_off asks again before writes stop.",
        yes,
    )
    _follow_or_print(api, api.post(path, body), output, no_wait)


@app.command("forecast", cls=Printing)
def show_forecast(plan: Plan, output: Output = Format.TABLE, url: Url = None, key: Key = None) -> None:
    """Show what a failover of PLAN would do now: steps, expected duration, data at risk, blockers."""
    api = api_of(url, key)
    _print_forecast(api, api.get(f"plans/{quote(plan, safe='')}/forecast"), output)


def _print_forecast(api: Api, found: dict[str, Any], output: Format) -> None:
    """Status 1 when something blocks the run."""
    if output is not Format.TABLE:
        emit(found, output)
    else:
        out.print(show.forecast_lines(found, api.target.speed))
    if found["blockers"]:
        raise typer.Exit(1)


def _follow_or_print(api: Api, run: dict[str, Any], output: Format, no_wait: bool = False) -> None:
    if output is not Format.TABLE:
        emit(run, output)
    elif no_wait:
        out.print(f"Started: {run['run_id']}. `coldsite runs watch` follows it.", markup=False)
    else:
        out.print(f"Run {run['run_id']}", markup=False)
        follow(api, run["run_id"])


@app.command(cls=Printing)
def history(plan: Plan, output: Output = Format.TABLE, url: Url = None, key: Key = None) -> None:
    """Show what happened to PLAN between and during runs, newest first: who did what, and warnings."""
    found = api_of(url, key).get(f"plans/{quote(plan, safe='')}")["events"]
    if output is not Format.TABLE:
        emit(found, output)
        return
    for event in found:
        out.print(f"{show.moment(event['at'])}  {event['text']}", markup=False)


@app.command()
def pause(
    plan: Plan,
    duration: Annotated[str, typer.Option("--for", help="How long, for example 2h; 0s ends a pause.")],
    reason: Reason,
    url: Url = None,
    key: Key = None,
) -> None:
    """Pause automatic failover of PLAN for maintenance. Coldsite still observes."""
    out.print(
        show.plan_line(
            api_of(url, key).post(f"plans/{quote(plan, safe='')}/pause", {"for": duration, "reason": reason})
        )
    )


@app.command(cls=Printing)
def settle(
    plan: Plan,
    reason: Reason,
    served_from: Annotated[str, typer.Option("--served-from", help="primary or recovery: where customers are served.")],
    for_good: Annotated[
        bool, typer.Option("--for-good", help="With recovery: Azure is the home now; nothing guards the old primary.")
    ] = False,
    what_if: WhatIf = False,
    yes: Yes = False,
    output: Output = Format.TABLE,
    url: Url = None,
    key: Key = None,
) -> None:
    """Attest where customers of PLAN are served, after something was done by hand.

    Coldsite reads Traffic Manager and probes both sites first, and refuses what they contradict.
    """
    api, path = api_of(url, key), f"plans/{quote(plan, safe='')}/settle"
    body = {"served_from": served_from, "for_good": for_good, "reason": reason}
    found = api.post(f"{path}?what_if=true", body)
    if not what_if:
        if output is Format.TABLE:
            out.print(show.settlement_lines(found))
        confirm(api, "Store this?", yes)
        found = api.post(path, body)
    if output is not Format.TABLE:
        emit(found, output)
    else:
        out.print(show.settlement_lines(found) if what_if else Text(found["sentence"], style="bold"))


def main() -> None:
    """Runs the command; an error is one sentence on standard error. Its status says of which kind: docs/command.md."""
    # The command reports a failed sign-in once; azure-identity would log every credential that it tried.
    logging.getLogger("azure").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):  # A code page of Windows lacks some characters of the tables.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app()
    except ContextError as error:
        show.console(stderr=True).print(str(error), style="red", markup=False)
        sys.exit(2)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        show.console(stderr=True).print(what, style="red", markup=False)
        sys.exit(2)
    except ApiError as error:
        show.console(stderr=True).print(str(error), style="red", markup=False)
        sys.exit(5 if isinstance(error, UnreachableError) else 2 if error.status in (0, 400, 404, 422) else 1)
