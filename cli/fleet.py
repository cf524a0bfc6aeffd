"""`coldsite fleet`: many Coldsites at a glance, worst first."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import aiohttp
import typer
from rich.table import Table
from rich.text import Text

from cli import contexts
from cli.api import ApiError, target_of
from cli.contexts import Context
from cli.options import out
from cli.output import Format, Output, PrintingGroup, emit
from shared.models.durations import spoken

app = typer.Typer(invoke_without_command=True, help="Every Coldsite that you look after, worst first.")
ANSWERS_WITHIN = 2.0
"""Seconds. A Coldsite that takes longer is shown as one that does not answer."""
SIGNED_IN_WITHIN = 15.0
"""Seconds. The Azure CLI takes some for each token."""
ORDER = ("down", "silent", "asking", "working", "away", "paused", "well")
"""Worst first; ``silent`` is a Coldsite that does not answer, or has not been heard of."""
_STYLES = {"down": "bold red", "silent": "bold red", "asking": "bold yellow", "away": "magenta", "well": "green"}


@dataclass(frozen=True)
class Line:
    """One plan of one Coldsite, or a Coldsite that does not answer."""

    context: str
    plan: str
    word: str
    tone: str
    sentence: str
    page: str

    @property
    def rank(self) -> tuple[int, str, str]:
        return ORDER.index(self.tone) if self.tone in ORDER else 0, self.context, self.plan


@app.callback(cls=PrintingGroup)
def fleet(context: typer.Context, output: Output = Format.TABLE) -> None:
    """Ask every Coldsite of `coldsite context list`, and show every plan, worst first."""
    if context.invoked_subcommand:
        return
    known = contexts.read().contexts
    if not known:
        out.print("No Coldsite is known. `coldsite context add NAME --url URL --app ID` adds one.")
        raise typer.Exit(2)
    lines = asyncio.run(ask_all(known))
    if output is not Format.TABLE:
        emit([asdict(line) for line in lines], output)
        return
    out.print(table(lines))
    raise typer.Exit(0 if all(line.tone == "well" for line in lines) else 1)


def table(lines: list[Line]) -> Table:
    made = Table(box=None, pad_edge=False)
    for name in ("customer", "state", "what"):
        made.add_column(name, overflow="fold")
    for line in lines:
        name = line.context if line.plan in ("", line.context) else f"{line.context}/{line.plan}"
        made.add_row(Text(name), Text(line.word, style=_STYLES.get(line.tone, "")), Text(line.sentence))
    return made


async def ask_all(known: dict[str, Context]) -> list[Line]:
    """Every Coldsite side by side; one that does not answer in time delays no other."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWERS_WITHIN)) as session:
        found = await asyncio.gather(*(_ask(session, name, context) for name, context in known.items()))
    return sorted((line for lines in found for line in lines), key=lambda line: line.rank)


async def _ask(session: aiohttp.ClientSession, name: str, context: Context) -> list[Line]:
    def silent(why: str) -> list[Line]:
        return [Line(name, "", "NO ANSWER", "silent", why, context.url)]

    try:
        target = await asyncio.wait_for(asyncio.to_thread(target_of, context), SIGNED_IN_WITHIN)
        async with session.get(f"{target.url}/api/status", headers=target.headers) as response:
            if response.status in (401, 403):
                return silent(f"It refuses your sign-in or key ({response.status}).")
            if response.status != 200:
                return silent(f"It answered {response.status}.")
            return lines_of(name, json.loads(await response.text()), context.url)
    except ApiError as error:
        return silent(error.detail)
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError, TypeError, AttributeError) as error:
        return silent(f"It does not answer ({type(error).__name__}).")


def lines_of(name: str, status: dict[str, Any], url: str) -> list[Line]:
    """The plans of one status document."""
    page = str(status.get("page") or f"{url}/api/dashboard")
    lines = [
        Line(name, str(plan["name"]), str(plan["word"]), str(plan["tone"]), _sentence(plan), page)
        for plan in status["plans"]
    ]
    return lines or [Line(name, "", "NO PLAN", "asking", "No plan is deployed.", page)]


def _sentence(plan: dict[str, Any]) -> str:
    since = datetime.fromisoformat(plan["since"]) if plan.get("since") else None
    lasts = f" For {spoken(max(0.0, (datetime.now(UTC) - since).total_seconds()))}." if since else ""
    who = plan.get("acknowledged_by")
    on_it = f" {who} is on it." if who else " No person is on it." if plan.get("waits_for_a_person") else ""
    return f"{plan['sentence']}{lasts}{on_it}"


@app.command()
def serve(
    listen: Annotated[str, typer.Option(help="Address and port; put a proxy with TLS in front.")] = "127.0.0.1:8090",
) -> None:
    """Receive the status that each Coldsite sends, and show all of them on one page, worst first. It needs no rights in
    any tenant: each context's `--secret` verifies what is received.
    """
    from cli.fleet_server import serve_forever  # A server, which no other command needs.

    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise typer.BadParameter("an address and a port, for example 127.0.0.1:8090.")
    asyncio.run(serve_forever(host or "127.0.0.1", int(port), contexts.read().contexts))
