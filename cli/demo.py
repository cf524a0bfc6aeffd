"""The main job in five acts: a blip, a disaster, the return of the old site, the way home, and the history."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from rich.status import Status
from rich.text import Text

from cli import show
from lab.actions import Actions
from lab.options import LabOptions
from lab.processes import ChildStartError
from lab.report import orders_lost
from lab.scenario import PROJECT, Event
from lab.twin import Lab
from shared.models import words
from shared.models.durations import spoken
from shared.plans.loader import build_plan, read_yaml

SPEED = 40.0
WATCHED = 180.0
"""Simulated seconds for which the demo watches home."""

LONGEST = 3000.0
"""Simulated seconds that the demo waits for any event before it gives up."""

PARTS = ("until it was noticed", "to confirm it", "to build and verify", "until customers had moved")
"""The parts of an outage, from the first dark second to the first answer from Azure."""

SERVED = "served"

out = show.console()


class Narrator:
    """One lab, and a narrator of its events in simulated time: a line for each act, and what came of it."""

    def __init__(self, lab: Lab, status: Status) -> None:
        self._lab = lab
        self._status = status
        self.moments: dict[str, float] = {}
        """When the newest run was first seen in each phase, in simulated seconds."""

    def act(self, number: int, title: str, about: str) -> None:
        out.print()
        out.print(Text.assemble((f"Act {number}: {title}. ", "bold"), about))

    def say(self, text: str, style: str = "") -> None:
        out.print(Text(f"  {text}", style=style))

    def doing(self, what: str) -> None:
        """What is in progress; it is shown in a terminal, and leaves no line."""
        minutes, seconds = divmod(round(max(0.0, self._lab.clock.now)), 60)
        self._status.update(f"{minutes}:{seconds:02}  {what} ...")

    def times(self, *names: str) -> list[float]:
        """When each was first seen; what ended between two looks was seen with what came after it."""
        found = [self.moments.get(name, float("inf")) for name in names]
        return [min(found[index:]) for index in range(len(found))]

    async def newest_run(self) -> dict[str, Any] | None:
        _, body = await self._lab.call("GET", "runs?limit=1")
        runs = body.get("runs") or []
        return (await self._lab.call("GET", f"runs/{runs[0]['run_id']}"))[1] if runs else None

    async def follow(self, done: Callable[[dict[str, Any]], bool], after: str | None = None) -> dict[str, Any]:
        """Waits until the newest run is ``done``; ``after`` is an earlier run to ignore."""
        began = self._lab.clock.now
        while self._lab.clock.now - began < LONGEST:
            run = await self.newest_run()
            if run and run["run_id"] != after:
                self.moments.setdefault(run["phase"], self._lab.clock.now)
                if self._lab.customers.tally.served_by["recovery"]:
                    self.moments.setdefault(SERVED, self._lab.clock.now)
                self.doing(words.PHASES[run["phase"]])
                if done(run):
                    return run
            await asyncio.sleep(0.1)
        raise RuntimeError("The demo timed out on an expected event; `make test` shows what is wrong.")


async def play() -> None:
    """Plays the five acts on one lab. Home is watched for a shorter time than the plan says."""
    began = time.monotonic()
    plan_file = PROJECT / "plans" / "contoso.yaml"
    data = read_yaml(plan_file)
    data["failback"]["watch_for"] = f"{WATCHED:g}s"
    plan = build_plan(data, plan_file)
    with out.status("Starting both sites, Azure's stand-in and the app on this machine ...") as status:
        async with Lab(plan, plan_file, LabOptions(speed=SPEED)) as lab:
            narrator = Narrator(lab, status)
            out.print(
                f"{plan.title}: IIS and SQL Server on premises, a replica in Azure, no machines there yet.\n"
                f"Durations are simulated; {SPEED:g} simulated seconds pass in each real one."
            )
            blip = await _blip(narrator, lab)
            disaster = await _disaster(narrator, lab, blip["run_id"])
            await _return(narrator, lab)
            home = await _home(narrator, lab)
            _epilogue(narrator, [home, disaster, blip], lab)
            simulated = lab.clock.now
    real = time.monotonic() - began
    out.print(f"\n{spoken(simulated)} of simulated time in {real:.0f} real seconds.", style="dim")


async def _blip(narrator: Narrator, lab: Lab) -> dict[str, Any]:
    narrator.act(1, "a blip", "The internet line of the primary site fails for a short while. No failover must happen.")
    await lab.clock.until(10)
    await lab.sites.cut("public", cut=True)
    await narrator.follow(lambda run: run["phase"] == "confirming")
    await lab.clock.sleep(20)
    await lab.sites.cut("public", cut=False)
    run = await narrator.follow(lambda run: run["outcome"] is not None)
    outcome = show.state_words(run)
    narrator.say(f"Outcome: {outcome}. Customers stayed at the primary site; no machine was built.", "yellow")
    return run


async def _disaster(narrator: Narrator, lab: Lab, before: str) -> dict[str, Any]:
    narrator.act(2, "the site dies", "The primary site loses power, network and machines for good.")
    narrator.moments.clear()
    died = lab.clock.now
    await lab.sites.run("primary", running=False)
    narrator.doing("the site is dark, and not noticed yet")
    run = await narrator.follow(lambda run: run["outcome"] == "succeeded", after=before)
    run = await narrator.follow(lambda _: SERVED in narrator.moments)
    out.print(show.timeline(run, SPEED))
    narrator.say(f"Decided: {(show.decision(run, SPEED) or '').partition('. ')[0]}.", "cyan")
    moments = [died, *narrator.times("confirming", "recovering", "cutting_over", SERVED)]
    # In whole seconds, so that what is printed adds up.
    spans = [after - earlier for earlier, after in pairwise(round(moment) for moment in moments)]
    parts = ", ".join(f"{spoken(span)} {what}" for span, what in zip(spans, PARTS, strict=True))
    narrator.say(f"Customers are served from Azure after {spoken(sum(spans))}: {parts}.", "green")
    lost, placed = orders_lost(lab, "recovery"), len(lab.customers.tally.orders)
    narrator.say(f"Orders lost: {lost} of {placed} that customers were promised.", "green" if not lost else "yellow")
    return run


async def _return(narrator: Narrator, lab: Lab) -> None:
    narrator.act(3, "the old site comes back", "Its machines start again with old data. Traffic must not go there.")
    await lab.sites.run("primary", running=True)
    narrator.doing("three minutes pass")
    before = dict(lab.customers.tally.served_by)
    await lab.clock.sleep(180)
    after = lab.customers.tally.served_by
    addresses, _ = await lab.resolve(lab.plan.traffic.hostname)
    narrator.say(
        f"Three minutes later DNS still resolves to {', '.join(addresses)}, which is Azure: it has served "
        f"{after['recovery'] - before['recovery']} requests, the old site {after['primary'] - before['primary']}.",
        "green",
    )


async def _home(narrator: Narrator, lab: Lab) -> dict[str, Any]:
    narrator.act(
        4,
        "home again",
        "Home is repaired and the databases are copied back. Nothing is stopped before a person signs.",
    )
    actions = Actions(lab, PROJECT)

    async def person(does: str, **details: Any) -> None:
        await actions.perform(Event.model_validate({"at": "0s", "do": f"operator.{does}", "answer": 202, **details}))
        if actions.failures:
            raise RuntimeError("; ".join(actions.failures))

    lab.home_copy.order("start", 6.0)
    narrator.doing("the copy home runs")
    await lab.clock.sleep(60)
    began = lab.clock.now
    await person("failback", reason="home is repaired")
    await narrator.follow(lambda run: run["kind"] == "failback" and run["phase"] == "waiting_for_approval")
    await person("approve")
    await narrator.follow(lambda run: run["phase"] == "watching")
    ordered = [order.at for order in lab.customers.tally.orders if order.at >= began]
    while ordered == (now := [order.at for order in lab.customers.tally.orders if order.at >= began]):
        await asyncio.sleep(0.05)
    stopped = max(later - earlier for earlier, later in pairwise(now))
    await narrator.follow(lambda run: bool(run["waiting_for"]))
    await person("commit")
    run = await narrator.follow(lambda run: run["outcome"] is not None)
    out.print(show.timeline(run, SPEED))
    narrator.say(
        "A person typed `coldsite failback contoso`, `coldsite approve` and, after the watch, `coldsite commit`."
    )
    lost = orders_lost(lab, "primary")
    narrator.say(
        f"Customers are home. Neither site took orders for {spoken(stopped)}; orders lost: {lost}.",
        "green" if not lost else "red",
    )
    return run


def _epilogue(narrator: Narrator, runs: list[dict[str, Any]], lab: Lab) -> None:
    narrator.act(
        5, "the history", "All of it was recorded. A recovery time counts from the first evidence of the outage."
    )
    out.print(show.runs_table(runs, SPEED))
    narrator.say(
        f"{len(lab.front.notifications)} messages were sent; the last: {lab.front.notifications[-1]['title']}."
    )
    out.print(
        "\nTry it yourself: `.venv/bin/coldsite lab up` opens a page with buttons that break things; "
        "`.venv/bin/coldsite` in\nanother terminal shows the status, `... runs show` reads a run."
    )


def main() -> None:
    logging.getLogger().setLevel(logging.CRITICAL)
    try:
        asyncio.run(play())
    except (RuntimeError, ChildStartError) as error:
        show.console(stderr=True).print(str(error), style="red", markup=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
