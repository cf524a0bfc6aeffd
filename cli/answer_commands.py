"""The commands that answer a run: approve, reject, abort, proceed, retry, commit, acknowledge, note."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer
from rich.text import Text

from cli import show
from cli.api import Api
from cli.following import Run, find_run
from cli.options import Key, Reason, Url, Yes, api_of, confirm, out

answers_app = typer.Typer()

_SENT = {
    "approve": "Approved",
    "reject": "Rejected",
    "proceed": "Proceeding",
    "abort": "Aborting",
    "retry": "Retrying",
    "commit": "Committing",
}


def _steer(action: str, run: str, reason: str, api: Api, more: dict[str, str] | None = None) -> None:
    api.post(f"runs/{quote(run, safe='')}/{action}", {"reason": reason, **(more or {})})
    out.print(f"{_SENT[action]}: {run}. `coldsite runs watch {show.short_id(run)}` follows it.", markup=False)


def _end(action: str, run: str, reason: str, api: Api, kind: str) -> None:
    """Ends a run, and says when the primary is checked again, where the run had interrupted those checks."""
    _steer(action, run, reason, api)
    if kind == "failover":
        out.print(
            "Coldsite checks the primary again after the plan's cooldown, or as soon as another signal fails; "
            "`coldsite` shows the time."
        )


def _show_question(api: Api, run: str) -> str:
    """Shows the question that waits, and returns the kind of the run."""
    found = api.get(f"runs/{quote(run, safe='')}")
    if question := found.get("waiting_for"):
        out.print(Text(question, style="bold red"))
    return "rebuild" if found.get("builds_again") else str(found["kind"])


@answers_app.command()
def approve(run: Run = "", reason: Reason = "", yes: Yes = False, url: Url = None, key: Key = None) -> None:
    """Approve a failover that waits for approval, or sign a failback."""
    api = api_of(url, key)
    run = find_run(api, run)
    kind = _show_question(api, run)
    does = {
        "rebuild": "replace these machines in Azure",
        "failback": "stop Azure's writes and bring customers home",
    }.get(kind, "build the machines and cut over")
    confirm(api, f"Let {run} {does}?", yes)
    _steer("approve", run, reason, api)


@answers_app.command()
def reject(run: Run = "", reason: Reason = "", url: Url = None, key: Key = None) -> None:
    """Reject a failover or a failback that waits for approval."""
    api = api_of(url, key)
    run = find_run(api, run)
    _end("reject", run, reason, api, _show_question(api, run))


@answers_app.command()
def abort(run: Run = "", reason: Reason = "", yes: Yes = False, url: Url = None, key: Key = None) -> None:
    """End a run and undo what it did; impossible once the cutover has begun."""
    api = api_of(url, key)
    run = find_run(api, run)
    kind = _show_question(api, run)
    confirm(api, f"End {run}? What it built is deleted, and what it stopped resumes.", yes)
    _end("abort", run, reason, api, kind)


@answers_app.command()
def proceed(run: Run = "", reason: Reason = "", yes: Yes = False, url: Url = None, key: Key = None) -> None:
    """Continue despite the reported doubt: a yes to the question that a run asks, mostly just before the cutover."""
    api = api_of(url, key)
    run = find_run(api, run)
    _show_question(api, run)
    confirm(api, "Proceed all the same?", yes)
    _steer("proceed", run, reason, api)


@answers_app.command()
def retry(
    run: Run = "",
    reason: Reason = "",
    recovery_point: Annotated[
        str | None,
        typer.Option(help="Build a failover again from this point: latest, latest_good, before:TIME or a name."),
    ] = None,
    url: Url = None,
    key: Key = None,
) -> None:
    """Resume a run after fixing the reported problem. It never answers a question: that is `proceed`.

    With --recovery-point the machines and disks of a failover are deleted and built again from that point, for example
    when the newest one turns out to be encrypted by an attacker.
    """
    more = {"recovery_point": recovery_point} if recovery_point else {}
    api = api_of(url, key)
    _steer("retry", find_run(api, run), reason, api, more)


@answers_app.command()
def commit(run: Run = "", reason: Reason = "", yes: Yes = False, url: Url = None, key: Key = None) -> None:
    """End a failback whose home was watched for long enough. There is no way back from here."""
    api = api_of(url, key)
    run = find_run(api, run)
    _show_question(api, run)
    confirm(api, "Customers stay home?", yes)
    _steer("commit", run, reason, api)


@answers_app.command()
def acknowledge(run: Run = "", reason: Reason = "", url: Url = None, key: Key = None) -> None:
    """Say that you are on the question of RUN: it is not escalated to other addresses."""
    api = api_of(url, key)
    run = find_run(api, run)
    api.post(f"runs/{quote(run, safe='')}/acknowledge", {"reason": reason})
    out.print(f"You are on it. `coldsite runs show {show.short_id(run)}` shows what it asks.", markup=False)


@answers_app.command()
def note(run: str, reason: Reason, url: Url = None, key: Key = None) -> None:
    """Add a note to RUN, also after its end. It is kept with the site's events."""
    api = api_of(url, key)
    run = find_run(api, run)
    api.post(f"runs/{quote(run, safe='')}/note", {"reason": reason})
    out.print(f"Noted: {run}. `coldsite plan show PLAN` lists the notes.", markup=False)
