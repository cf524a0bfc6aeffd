"""The actions of a scenario's timeline."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lab.cloud.faults import Fault
from lab.cloud.monitor import SAMPLES, sample, send_with_retries
from lab.host.dispatch import KillOrder
from lab.scenario import Event, ScenarioError, seconds
from lab.site.hooks import Behaviour
from lab.site.sql_server import LOGIN_REFUSALS
from lab.twin import Lab
from shared.models.ids import TAG_TAKEN_AT


class Actions:
    """Performs events. ``folder`` contains a scenario's alert files."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self._lab = lab
        self._folder = folder
        self.failures: list[str] = []
        self.sending: set[asyncio.Task[int]] = set()
        self._does: dict[str, Callable[[dict[str, Any]], Awaitable[None]]] = {
            "site.stop": lambda d: lab.sites.run(d["target"], running=False),
            "site.start": lambda d: lab.sites.run(d["target"], running=True),
            "network.cut": lambda d: lab.sites.cut(d["path"], cut=True),
            "network.heal": lambda d: lab.sites.cut(d["path"], cut=False),
            "storage.stop": lambda d: lab.storage.stop(),
            "storage.start": lambda d: lab.storage.start(),
            "timer.fire": self._fire,
            "alert.send": self._send_alerts,
            "worker.kill": self._kill,
            "run.lose": self._lose,
        }

    async def perform(self, event: Event) -> None:
        """Performs one event. Raises ``ScenarioError`` when it names something that does not exist."""
        details = event.details
        if does := self._does.get(event.do):
            await does(details)
        elif event.do.startswith("operator."):
            await self._operate(event.do.removeprefix("operator."), dict(details))
        else:
            self._at_once(event.do, details)

    def _at_once(self, do: str, details: dict[str, Any]) -> None:
        lab = self._lab
        match do:
            case "site.respond":
                lab.sites.respond(details["target"], int(details["status"]), str(details.get("body", "")))
            case "sql.state":
                lab.sites.set_state(details["target"], str(details["state"]))
            case "sql.odd":
                self._make_odd(dict(details))
            case "hook.respond":
                self._change_hook(details)
            case "tags.lose":
                self._lose_tag(details)
            case "arm.body":
                self._break_azure(
                    details | {"error": details["code"], "later": details.get("as") == "async"},
                )
            case "customers.keep_answers":
                lab.customers.keep_answers(seconds(details["for"]))
            case "home.copy":
                lab.home_copy.order(details["state"], seconds(details.get("lag", 0)))
            case "replication.pause" | "replication.resume":
                lab.replication.paused = do.endswith("pause")
            case "replication.state":
                lab.replication.state = details["state"]
            case "monitor.stop" | "monitor.start":
                lab.alert_rules.stopped = do.endswith("stop")
            case "arm.fault":
                self._break_azure(details)
            case "arm.heal":
                lab.arm.faults.clear()
            case "azure.health":
                service = str(details.get("service", "Virtual Machines"))
                lab.health.in_trouble = service if details["state"] == "trouble" else None
            case "traffic.profile":
                lab.traffic.switch_profile(enabled=details["state"] == "enabled")
            case "app.deploy":
                lab.functions.dispatcher.broken = details["state"] == "broken"
            case "traffic.enable" | "traffic.disable":
                lab.traffic.switch(self._endpoint(details["endpoint"]), enabled=do.endswith("enable"))

    def _break_azure(self, details: dict[str, Any]) -> None:
        operation = str(details["operation"])
        known = self._lab.arm.operation_words
        method, _, path = operation.partition(" ")
        if f"{method} {path.split('/')[-1]}".lower() not in {word.lower() for word in known}:
            raise ScenarioError(f"operation {operation!r} is not one of {', '.join(sorted(known))}")
        self._lab.arm.faults.add(
            Fault(
                operation=operation,
                error=str(details["error"]),
                size=details.get("size"),
                times=int(details.get("times", 1)),
                skip=int(details.get("skip", 0)),
                retry_after=seconds(details.get("retry_after", 30)),
                status=int(details.get("status", 409)),
                message=str(details.get("message", "")),
                later=bool(details.get("later", False)),
            )
        )

    def _make_odd(self, details: dict[str, Any]) -> None:
        """``password``: changed for the probe's login alone."""
        target = str(details.pop("target"))
        if details.pop("password", None) is not None:
            details["login_number"] = 18456
        number = int(details.get("login_number", 0))
        if number and number not in LOGIN_REFUSALS:
            known = ", ".join(map(str, LOGIN_REFUSALS))
            raise ScenarioError(f"login_number: {number} is not one of {known}")
        kinds = {"query_seconds": float, "hours": float, "use_text": str, "query_text": str}
        self._lab.sites.be_odd(target, {key: kinds.get(key, int)(value) for key, value in details.items()})

    def _change_hook(self, details: dict[str, Any]) -> None:
        behaviours = self._lab.hooks.behaviours
        name = str(details["hook"])
        name = self._lab.hooks.roles.get(name, name)
        if name not in behaviours:
            raise ScenarioError(f"hook {name!r} is not one of {', '.join([*self._lab.hooks.roles, *behaviours])}")
        effect = details.get("effect", True)
        behaviours[name] = Behaviour(
            status=int(details.get("status", 200)),
            effect=effect in (True, "true"),
            body=str(details["body"]) if "body" in details else None,
            delay=seconds(details.get("delay", 0)),
        )

    def _lose_tag(self, details: dict[str, Any]) -> None:
        """A person, or a policy, removes a tag from the newest snapshot."""
        snapshots = [r for key, r in self._lab.compute.resources.items() if "/snapshots/" in key.lower()]
        newest = max(snapshots, key=lambda snapshot: str(snapshot["tags"].get(TAG_TAKEN_AT, "")), default=None)
        if newest is not None:
            newest["tags"].pop(str(details["tag"]), None)

    def _endpoint(self, name: str) -> str:
        traffic = self._lab.plan.traffic
        names = {"primary": traffic.primary.endpoint, "recovery": traffic.recovery.endpoint}
        wanted = names.get(name, name)
        if wanted.lower() not in self._lab.traffic.endpoints:
            raise ScenarioError(f"endpoint {name!r} is not one of {', '.join(self._lab.traffic.endpoints)}")
        return wanted

    async def _fire(self, details: dict[str, Any]) -> None:
        timers = self._lab.functions.timers
        if details["function"] not in timers:
            raise ScenarioError(f"function {details['function']!r} is not one of {', '.join(sorted(timers))}")
        await self._lab.functions.fire(details["function"])

    async def _kill(self, details: dict[str, Any]) -> None:
        when, _, activity = str(details["when"]).partition(":")
        functions = self._lab.functions
        if when == "now":
            for _ in range(int(details.get("times", 1))):
                away = self._lab.clock.real(seconds(details.get("for", 0)))
                while not (hit := functions.lose_workers(away, details.get("loses", "process"))):
                    await asyncio.sleep(0.05)
                while any(not worker.gone.is_set() for worker in hit):
                    await asyncio.sleep(0.05)
            return
        known = functions.dispatcher.activities
        if when not in ("before", "during", "after") or activity not in known:
            raise ScenarioError(f"when: {details['when']!r} is not now, or before:, during: or after: one of {known}")
        times, write, loses = int(details.get("times", 1)), details.get("write"), details.get("loses", "process")
        order = KillOrder(when, activity, times, write, loses)
        functions.dispatcher.kill_next(order)

    async def _lose(self, details: dict[str, Any]) -> None:
        await self._lab.functions.dispatcher.lose(str(details.get("run") or await self._current_run()))

    async def _send_alerts(self, details: dict[str, Any]) -> None:
        """Sends as an action group does, all at once; retries do not delay the timeline."""
        if "file" in details:
            body = (self._folder / details["file"]).read_bytes()
        else:
            name = str(details["sample"])
            if not (SAMPLES / f"{name}.json").is_file():
                known = ", ".join(sorted(p.stem for p in SAMPLES.glob("*.json")))
                raise ScenarioError(f"sample {name!r} is not one of {known}")
            traffic = self._lab.plan.traffic
            body = sample(name, traffic.profile, traffic.primary.endpoint, str(uuid.uuid4()))
        for _ in range(int(details.get("times", 1))):
            task = asyncio.create_task(send_with_retries(self._lab.clock, self._lab.deliver_alert, body))
            self.sending.add(task)
            task.add_done_callback(self.sending.discard)

    # People

    async def _operate(self, what: str, details: dict[str, Any]) -> None:
        wanted = details.pop("answer", None)
        plan = details.pop("plan", self._lab.plan.name)
        person = str(details.pop("by", ""))
        if what in ("approve", "reject", "proceed", "abort", "retry", "commit", "acknowledge"):
            run = details.pop("run", None) or await self._current_run()
            path = f"runs/{run}/{what}"
        else:
            path = f"plans/{plan}/{what}"
            details.setdefault("reason", "The scenario says so")
        self._scale(details)
        status, body = await self._lab.call("POST", path, details, person)
        if wanted is not None and status != int(wanted):
            self.failures.append(f"operator.{what} answered {status} instead of {wanted}: {body.get('detail', body)}")

    def _scale(self, details: dict[str, Any]) -> None:
        """Times in a person's request are simulated ones."""
        if "for" in details:
            details["for"] = f"{seconds(details['for']) / self._lab.clock.speed:.3f}s"
        point = str(details.get("recovery_point", ""))
        if point.startswith("before:") and "T" not in point:
            details["recovery_point"] = f"before:{self._lab.clock.wall(seconds(point[7:])).isoformat()}"

    async def _current_run(self) -> str:
        _, body = await self._lab.call("GET", f"runs?plan={self._lab.plan.name}&limit=20")
        runs = body.get("runs", [])
        run = next((r for r in runs if r["outcome"] is None), runs[0] if runs else None)
        return run["run_id"] if run else "none"
