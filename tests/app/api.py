"""A whole lab in the background, and its HTTP API as a client at the socket sees it."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import UpdateMode

from lab.actions import Actions
from lab.audit import journal_intact
from lab.cloud.monitor import sample
from lab.options import PROJECT, LabOptions
from lab.scenario import Event
from lab.twin import Lab
from shared.models.plan import RecoveryPlan
from tests.loops import LoopThread, collect_quietly
from tests.plans import CONTOSO, contoso
from tests.waiting import LIMIT, wait_until

REFUSED = {400, 404, 409, 413, 422, 503}


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    def problem(self, status: int) -> dict[str, Any]:
        """The RFC 9457 problem document that this answer must be."""
        assert (self.status, self.headers.get_content_type()) == (status, "application/problem+json"), self.text
        document: dict[str, Any] = self.json
        assert document["status"] == status
        assert {name for name in ("type", "title", "detail") if not document.get(name)} == set()
        return document


class QuietLab(Lab):
    """Only the test starts runs: on a busy machine the watch would take a slow site for an outage.

    ``off`` are timers that run only when a test fires them; ``more`` overrides app settings.
    """

    off: tuple[str, ...] = ("watch",)
    more: Mapping[str, str] = {}

    def settings(self, plans: Path) -> dict[str, str]:
        off = {f"AzureWebJobs.{timer}.Disabled": "true" for timer in self.off}
        return super().settings(plans) | off | dict(self.more)


class Api:
    """The lab of contoso, or of a plan like it, at speed 60. Times in tests are real seconds."""

    def __init__(
        self, plan: RecoveryPlan | None = None, *off: str, settings: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        self._loop = LoopThread()
        self.lab = QuietLab(plan or contoso(), CONTOSO, LabOptions(speed=60.0, **options))
        self.lab.off += off
        self.lab.more = settings or {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        self._loop.run(self.lab.__aenter__(), LIMIT)
        self.lab.alert_rules.stopped = True

    def close(self) -> None:
        try:
            self._loop.run(self.lab.__aexit__(), LIMIT)
        finally:
            self._loop.close()
            del self.lab
            collect_quietly()

    # Asking

    def ask(
        self,
        method: str,
        path: str,
        body: object = b"",
        key: str | None = "right",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request with the path exactly as given; a body that is not bytes is sent as JSON.

        The right key is the host's, or the token of the first of the people where people sign in.
        """
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        shown = self.lab.credentials() if key == "right" else {"x-functions-key": key} if key else {}
        connection = http.client.HTTPConnection(self.lab.functions.url.removeprefix("http://"), timeout=LIMIT)
        try:
            connection.request(method, path, body=raw, headers=shown | dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def ask_as(self, person: str, method: str, path: str, body: object = b"", **headers: str) -> Answer:
        """One request with the person's own token; ``headers`` are named with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(method, path, body, None, self.lab.credentials(person) | named)

    def past_the_platform(
        self, function: str, headers: Mapping[str, str], body: object = None, **parameters: str
    ) -> Answer:
        """The app's own answer: its function is called without the host and without sign-in."""
        value = {
            "method": "GET" if body is None else "POST",
            "url": f"{self.lab.functions.url}/api/{function}",
            "headers": dict(headers),
            "params": parameters,
            "query": {},
            "body": base64.b64encode(b"" if body is None else json.dumps(body).encode()).decode(),
        }
        worker = self.lab.functions.workers[0]
        returned = self._loop.run(worker.invoke(function, [("req", "http", value)]), LIMIT)["return"]
        returned_headers = http.client.HTTPMessage()
        for name, text in returned["headers"].items():
            returned_headers[name] = text
        return Answer(returned["status"], returned_headers, base64.b64decode(returned["body"]))

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, body: object = b"") -> Answer:
        return self.ask("POST", path, body)

    def alert(self, name: str, number: str, endpoint: str | None = None) -> bytes:
        """A sample alert of Azure Monitor about this lab; ``number`` tells one alert from another."""
        traffic = self.lab.plan.traffic
        return sample(name, traffic.profile, endpoint or traffic.primary.endpoint, number)

    # What is there

    def runs(self, query: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(f"/api/runs{query}").json["runs"]
        return found

    def read(self, run_id: str) -> dict[str, Any]:
        run: dict[str, Any] = self.get(f"/api/runs/{run_id}").json
        return run

    def writes(self) -> dict[str, int]:
        """How often each writing operation of Azure Resource Manager was called."""
        calls = self._loop.call(lambda: dict(self.lab.arm.calls))
        reads = ("GET", "HEAD", "POST retrieveBootDiagnosticsData")
        return {label: count for label, count in calls.items() if not label.startswith(reads)}

    def left_over(self) -> list[str]:
        """Resources that a run has tagged as its own."""
        return self._loop.call(lambda: [key for key, value in self.lab.compute.resources.items() if value.get("tags")])

    def plan(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("/api/plans/contoso").json
        return found

    def story(self) -> list[str]:
        """The texts of the site's events, newest first."""
        return [event["text"] for event in self.plan()["events"]]

    def change_state(self, **columns: Any) -> None:
        """Changes the row of the plan's state without the app's code."""
        self._loop.run(_change_state(self.lab, columns), LIMIT)

    def refusals(self) -> list[dict[str, Any]]:
        """The recorded refusals, newest first."""
        return self._loop.run(_rows(self.lab, "ColdsiteEvents", "_refusals"), LIMIT)

    def log(self) -> str:
        """What the worker has written so far."""
        return (self.lab.folder / "worker.log").read_text()

    def notified(self, words: str) -> int:
        """How many notifications contained these words."""
        return self._loop.call(
            lambda: sum(words in str(message["message"]) for message in self.lab.front.notifications)
        )

    def history_intact(self) -> bool:
        """Whether no ended run was changed."""
        return self._loop.run(journal_intact(self.lab), LIMIT)

    # What happens to the lab

    def on_loop[T](self, work: Callable[[], T]) -> T:
        """Runs a function on the lab's own thread."""
        return self._loop.call(work)

    def run[T](self, work: Coroutine[Any, Any, T]) -> T:
        """The same for a coroutine."""
        return self._loop.run(work, LIMIT)

    def perform(self, do: str, **details: Any) -> None:
        """One line of a scenario's timeline, now."""
        event = Event.model_validate({"at": "0s", "do": do} | details)
        self._loop.run(Actions(self.lab, PROJECT).perform(event), LIMIT)

    def housekeeping(self) -> None:
        """Runs housekeeping once, from beginning to end."""
        self._loop.run(self.lab.functions.fire("housekeeping"), LIMIT)

    # Runs and outages

    def finished(self, run_id: str, limit: float = LIMIT) -> dict[str, Any]:
        """The run once it has ended and released its plan."""

        def ended() -> dict[str, Any] | None:
            free = self.get("/api/plans/contoso").json["active_run"] != run_id
            run = self.read(run_id)
            return run if run["outcome"] and free else None

        return wait_until(ended, limit, f"run {run_id} has ended")

    def step(self, run_id: str, name: str) -> dict[str, Any] | None:
        return next((step for step in self.read(run_id)["steps"] if step["name"] == name), None)

    @contextmanager
    def started(self, kind: str, **body: object) -> Iterator[str]:
        """A run that has claimed its plan; it is aborted at the end if the test has not ended it."""
        answer = self.post(f"/api/plans/contoso/{kind}", {"reason": "A test"} | body)
        assert answer.status == 202, answer.text
        run_id: str = answer.json["run_id"]
        try:
            wait_until(lambda: {s["name"] for s in self.read(run_id)["steps"]} - {"claim_run"}, LIMIT, "it has begun")
            yield run_id
        finally:
            self.post(f"/api/runs/{run_id}/abort")
            self.finished(run_id)

    @contextmanager
    def without_storage(self) -> Iterator[None]:
        self._loop.run(self.lab.storage.stop(), LIMIT)
        try:
            yield
        finally:
            self._loop.run(self.lab.storage.start(), LIMIT)


async def _change_state(lab: Lab, columns: dict[str, Any]) -> None:
    async with lab.tables() as service:
        row = {"PartitionKey": "contoso", "RowKey": "state"} | columns
        await service.get_table_client("ColdsiteState").upsert_entity(row, mode=UpdateMode.MERGE)


async def _rows(lab: Lab, table: str, partition: str) -> list[dict[str, Any]]:
    """The rows of a partition, read without the app's code."""
    async with lab.tables() as service:
        found = service.get_table_client(table).query_entities(
            "PartitionKey eq @partition", parameters={"partition": partition}
        )
        try:
            return [dict(row) async for row in found]
        except ResourceNotFoundError:
            return []  # No table: nothing has been written yet.
