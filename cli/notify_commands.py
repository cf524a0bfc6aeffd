"""`coldsite notify`: whether messages arrive."""

from __future__ import annotations

from urllib.parse import quote

import typer

from cli.options import Key, Plan, Url, api_of, out

notify_app = typer.Typer(no_args_is_help=True, help="Messages: test whether they arrive.")


@notify_app.command("test")
def send(plan: Plan, url: Url = None, key: Key = None) -> None:
    """Send a test message to every address of PLAN. Status 1 when one did not accept it."""
    found = api_of(url, key).post(f"plans/{quote(plan, safe='')}/notify", {})["deliveries"]
    for delivery in found:
        out.print(f"{delivery['address']}: {delivery['problem'] or 'accepted the message'}", markup=False)
    if not found:
        out.print(f"{plan} has no addresses (`notify` in the plan).", markup=False)
    if not found or any(delivery["problem"] for delivery in found):
        raise typer.Exit(1)
