"""A storm of alerts: how fast each is answered, and whether it makes one run and loses none.

A sender in a process of its own posts alerts evenly over two seconds to an app with two workers, and sends again, as an
action group does, what was answered 503. The number of runs and of alerts on record is then read from the app's own API
and from the stored rows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import aiohttp

from lab.cloud.monitor import sample
from lab.options import LabOptions
from lab.scenario import PROJECT
from lab.twin import Lab
from shared.plans.loader import load_plan

PLAN = PROJECT / "plans" / "contoso.yaml"
OVER = 2.0
"""Seconds in which all alerts of a storm are sent."""
SLOWEST = 5.0
P99_OF_A_HUNDRED = 1.0
AGAIN_AFTER = 5.0
"""Seconds after which an action group sends again what was answered 503."""


@dataclass
class Storm:
    """What came of one storm. Times are seconds until an answer, also an answer of "try again"."""

    alerts: int
    answers: dict[str, int]
    p50: float
    p99: float
    slowest: float
    took: float
    runs: int
    recorded: int

    @property
    def problems(self) -> list[str]:
        """Why this storm was not weathered; nothing when it was."""
        found = []
        if strange := set(self.answers) - {"202", "503"}:
            found.append(f"answered {', '.join(sorted(strange))}")
        if self.slowest > SLOWEST:
            found.append(f"the slowest answer took {self.slowest:.1f} s")
        if self.alerts <= 100 and self.p99 > P99_OF_A_HUNDRED:
            found.append(f"p99 is {self.p99:.2f} s")
        if self.runs != 1:
            found.append(f"{self.runs} runs")
        if self.recorded != self.alerts:
            found.append(f"{self.alerts - self.recorded} alerts were lost")
        return found


async def send(url: str, bodies: list[bytes]) -> dict[str, Any]:
    """Posts every alert at its time. Whatever was answered 503 is sent again until it is taken."""
    answers: list[tuple[int, float]] = []
    began = time.monotonic()

    async def deliver(session: aiohttp.ClientSession, number: int, body: bytes) -> None:
        await asyncio.sleep(OVER * number / len(bodies))
        while True:
            sent = time.monotonic()
            try:
                async with session.post(url, data=body, headers={"Content-Type": "application/json"}) as response:
                    await response.read()
                    status = response.status
            except (aiohttp.ClientError, TimeoutError):
                status = 0
            answers.append((status, time.monotonic() - sent))
            if status not in (0, 503):
                return
            await asyncio.sleep(AGAIN_AFTER)

    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        await asyncio.gather(*(deliver(session, number, body) for number, body in enumerate(bodies)))
    waits = sorted(wait for _, wait in answers)
    counts: dict[str, int] = {}
    for status, _ in answers:
        counts[str(status)] = counts.get(str(status), 0) + 1
    return {
        "answers": counts,
        "p50": statistics.median(waits),
        "p99": waits[min(len(waits) - 1, int(len(waits) * 0.99))],
        "slowest": waits[-1],
        "took": time.monotonic() - began,
    }


async def storm(alerts: int) -> Storm:
    """One storm in a lab of its own, in which the primary is dead, so that the run is a real one."""
    plan = load_plan(PLAN)
    async with Lab(plan, PLAN, LabOptions(speed=1, workers=2)) as lab:
        lab.alert_rules.stopped = True
        await lab.sites.run("primary", running=False)
        traffic = plan.traffic
        bodies = [
            sample("traffic-manager-fired", traffic.profile, traffic.primary.endpoint, f"storm-{n}")
            for n in range(alerts)
        ]
        url = f"{lab.functions.url}/api/alerts?code={lab.functions.function_key}"
        sender = await asyncio.create_subprocess_exec(
            sys.executable, __file__, "--send", url, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await sender.communicate(b"\n".join(bodies))
        _, body = await lab.call("GET", "runs?limit=200")
        return Storm(alerts=alerts, runs=len(body["runs"]), recorded=await _recorded(lab), **json.loads(output))


async def _recorded(lab: Lab) -> int:
    """How many alerts are in the history."""
    async with lab.tables() as service:
        rows = service.get_table_client("ColdsiteAlerts").list_entities(select=["alert_id"])
        return len([row async for row in rows if "alert_id" in row])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "alerts", nargs="*", type=int, default=[100, 1000], help="alerts in a storm; several are run in turn"
    )
    parser.add_argument("--send", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.send:
        print(json.dumps(asyncio.run(send(arguments.send, sys.stdin.buffer.read().split(b"\n")))))
        return
    bad = False
    for count in arguments.alerts or [100, 1000]:
        result = asyncio.run(storm(count))
        bad = bad or bool(result.problems)
        answers = ", ".join(f"{number} x {status}" for status, number in sorted(result.answers.items()))
        print(
            f"{result.alerts} alerts within {OVER:.0f} s, two workers: {result.alerts / result.took:.0f} alerts/s, "
            f"p50 {result.p50:.2f} s, p99 {result.p99:.2f} s, slowest {result.slowest:.2f} s ({answers}); "
            f"{result.runs} run, {result.recorded} on record"
            + (f"; BAD: {'; '.join(result.problems)}" if result.problems else "")
        )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
