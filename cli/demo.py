"""The main job in five acts: a blip, a disaster, the return of the old site, the way home, and the history."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from rich.panel import Panel
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

out = show.console()


class Story:
    """One lab, and a narrator of its events in simulated time."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._told: set[tuple[str, str, str]] = set()

    def act(self, number: int, title: str, about: str) -> None:
        out.print()
        out.print(Panel(Text(about), title=f"Act {number}: {title}", title_align="left", width=min(out.width, 100)))

    def say(self, text: str, style: str = "") -> None:
        minutes, seconds = divmod(round(max(0.0, self._lab.clock.now)), 60)
        clock = f"{minutes:>5}:{seconds:02}"
        out.print(Text.assemble((clock, "dim"), "  ", (text, style)))

    async def newest_run(self) -> dict[str, Any] | None:
        _, body = await self._lab.call("GET", "runs?limit=1")
        runs = body.get("runs") or []
        return (await self._lab.call("GET", f"runs/{runs[0]['run_id']}"))[1] if runs else None

    async def follow(self, done: Callable[[dict[str, Any]], bool], after: str | None = None) -> dict[str, Any]:
        """Prints changes of the newest run until ``done``; ``after`` is an earlier run to ignore."""
        began = self._lab.clock.now
        while self._lab.clock.now - began < LONGEST:
            run = await self.newest_run()
            if run and run["run_id"] != after:
                self._tell(run)
                if done(run):
                    return run
            await asyncio.sleep(0.1)
        raise RuntimeError("The demo timed out on an expected event; `make test` shows what is wrong.")

    def _tell(self, run: dict[str, Any]) -> None:
        if self._news(run["run_id"], "phase", run["phase"]) and not run["outcome"]:
            self.say(f"{words.PHASES[run['phase']][0].upper()}{words.PHASES[run['phase']][1:]} ...", "bold")
            if run["phase"] == "recovering":
                self.say(f"Decided: {show.decision(run, SPEED)}", "cyan")
        for step in run["steps"]:
            if step["name"] not in words.STEPS or step["target"] == "confirming":
                continue
            said = words.step_words(step["name"], step["target"])
            if step["status"] in ("succeeded", "failed") and self._news(run["run_id"], said, step["status"]):
                self.say(f"  {'✓' if step['status'] == 'succeeded' else '✗'} {said}")

    def _news(self, run: str, what: str, state: str) -> bool:
        news = (run, what, state) not in self._told
        self._told.add((run, what, state))
        return news


async def play() -> None:
    """Plays the five acts on one lab. Home is watched for a shorter time than the plan says."""
    began = time.monotonic()
    plan_file = PROJECT / "plans" / "contoso.yaml"
    data = read_yaml(plan_file)
    data["failback"]["watch_for"] = f"{WATCHED:g}s"
    plan = build_plan(data, plan_file)
    out.print("Starting both sites, Azure's stand-in and the app on this machine ...", style="dim")
    async with Lab(plan, plan_file, LabOptions(speed=SPEED)) as lab:
        story = Story(lab)
        out.print(
            f"{plan.title}: IIS and SQL Server on premises, a replica in Azure, no machines there yet.\n"
            f"Times are simulated minutes and seconds; {SPEED:g} simulated seconds pass in each real one."
        )
        blip = await _blip(story, lab)
        disaster = await _disaster(story, lab, blip["run_id"])
        await _return(story, lab)
        home = await _home(story, lab)
        _epilogue(story, [home, disaster, blip], lab)
        simulated = lab.clock.now
    real = time.monotonic() - began
    out.print(f"\n{spoken(simulated)} of simulated time in {real:.0f} real seconds.", style="dim")


async def _blip(story: Story, lab: Lab) -> dict[str, Any]:
    story.act(1, "a blip", "The internet line of the primary site fails for a short while. No failover must happen.")
    await lab.clock.until(10)
    story.say("The primary's internet line is cut.", "red")
    await lab.sites.cut("public", cut=True)
    await story.follow(lambda run: run["phase"] == "confirming")
    await lab.clock.sleep(20)
    story.say("The line is back.", "green")
    await lab.sites.cut("public", cut=False)
    run = await story.follow(lambda run: run["outcome"] is not None)
    story.say(f"Outcome: {show.said(run)}. {show.decision(run, SPEED)}", "yellow")
    return run


async def _disaster(story: Story, lab: Lab, before: str) -> dict[str, Any]:
    story.act(2, "the site dies", "The primary site loses power, network and machines for good.")
    died = lab.clock.now
    story.say("The primary site is dark.", "red")
    await lab.sites.run("primary", running=False)
    run = await story.follow(lambda run: run["outcome"] == "succeeded", after=before)
    served = lab.customers.tally.served_by["recovery"]
    while lab.customers.tally.served_by["recovery"] == served:
        await asyncio.sleep(0.05)
    story.say("Customers are served again, from Azure.", "green")
    out.print()
    out.print(show.timeline(run, SPEED))
    out.print()
    story.say(f"Outage as the customers saw it: {spoken(lab.clock.now - died)}.")
    story.say(f"Coldsite's own measure, from its first evidence: {spoken(run['recovery_time_actual'] * SPEED)}.")
    lost = orders_lost(lab, "recovery")
    placed = len(lab.customers.tally.orders)
    story.say(f"Orders lost: {lost} of {placed} that customers were promised.", "green" if not lost else "yellow")
    return run


async def _return(story: Story, lab: Lab) -> None:
    story.act(3, "the old site comes back", "Its machines start again with old data. Traffic must not go there.")
    story.say("The primary's machines are up again.", "red")
    await lab.sites.run("primary", running=True)
    before = dict(lab.customers.tally.served_by)
    await lab.clock.sleep(180)
    after = lab.customers.tally.served_by
    addresses, _ = await lab.resolve(lab.plan.traffic.hostname)
    story.say(f"DNS still resolves to {', '.join(addresses)}, which is Azure.")
    story.say(
        f"Three minutes later: {after['recovery'] - before['recovery']} requests served by Azure, "
        f"{after['primary'] - before['primary']} by the old site. Locked to Azure until a person fails back.",
        "green",
    )


async def _home(story: Story, lab: Lab) -> dict[str, Any]:
    story.act(
        4,
        "home again",
        "Home is repaired and the databases are copied back. Nothing is stopped before a person signs; then neither "
        "site takes orders for a moment, and nothing is lost.",
    )
    actions = Actions(lab, PROJECT)

    async def person(does: str, said: str, **details: Any) -> None:
        story.say(said, "bold")
        await actions.perform(Event.model_validate({"at": "0s", "do": f"operator.{does}", "answer": 202, **details}))
        if actions.failures:
            raise RuntimeError("; ".join(actions.failures))

    lab.home_copy.order("start", 6.0)
    await lab.clock.sleep(60)
    began = lab.clock.now
    await person("failback", "A person starts the failback: `coldsite failback contoso`.", reason="home is repaired")
    await story.follow(lambda run: run["kind"] == "failback" and run["phase"] == "waiting_for_approval")
    story.say("Coldsite has compared both sites' databases, says what it found, and asks for a signature.", "cyan")
    await person("approve", "A person signs: `coldsite approve`.")
    await story.follow(lambda run: run["phase"] == "watching")
    ordered = [order.at for order in lab.customers.tally.orders if order.at >= began]
    while ordered == (now := [order.at for order in lab.customers.tally.orders if order.at >= began]):
        await asyncio.sleep(0.05)
    stopped = max(later - earlier for earlier, later in pairwise(now))
    story.say(f"Customers are home. Neither site took orders for {spoken(stopped)}.", "green")
    await story.follow(lambda run: bool(run["waiting_for"]))
    await person("commit", f"Home was watched for {spoken(WATCHED)}. A person commits: `coldsite commit`.")
    run = await story.follow(lambda run: run["outcome"] is not None)
    lost = orders_lost(lab, "primary")
    story.say(f"Orders lost on the way home: {lost}.", "green" if not lost else "red")
    return run


def _epilogue(story: Story, runs: list[dict[str, Any]], lab: Lab) -> None:
    story.act(5, "the history", "Everything above was recorded while it happened: who, what, when and why.")
    out.print(show.runs_table(runs, SPEED))
    out.print(f"{len(lab.front.notifications)} messages were sent; the last: {lab.front.notifications[-1]['title']}.")
    out.print(
        "\nTry it yourself: `.venv/bin/coldsite lab up` starts the lab and keeps it; in another terminal,\n"
        "`.venv/bin/coldsite` shows the status, `... drill contoso` tries a drill, `... runs show RUN` reads one."
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
