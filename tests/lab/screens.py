"""The output of the command, run in this process, against a Coldsite with scripted answers: a real server at a socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

from typer.testing import CliRunner

from cli.main import app
from functions.http.schemas import NewestLook, PlanView, ReplicaView, WaitingRun
from shared.models.evidence import Evidence
from tests.serving import served

RUN = "contoso-f20270115203000000-abcd"
NOW = datetime.now(UTC).replace(second=0, microsecond=0)


class Coldsite:
    """A server with an answer for each path, which records its requests."""

    def __init__(self, url: str, answers: dict[str, tuple[int, Any]], sent: list[tuple[str, Any]]) -> None:
        self.url = url
        self.answers = answers
        self.sent = sent

    def says(self, path: str, body: Any, status: int = 200) -> None:
        self.answers[f"/api/{path}"] = (status, body)

    def run(self, *words: str, answer: str = "", code: int | None = 0) -> str:
        """What a command prints, as one line; ``code`` is its exit status, None for a refusal by the API."""
        done = CliRunner().invoke(app, ["--url", self.url, "--key", "k", *words], input=answer)
        if code is None:
            assert done.exception is not None
            return " ".join(f"{done.output} {done.exception}".split())
        assert done.exit_code == code, (done.output, done.exception)
        return " ".join(done.output.split())

    def overview(self, *plans: dict[str, Any], runs: list[dict[str, Any]] | None = None) -> str:
        """The first screen."""
        self.says("plans", {"plans": list(plans)})
        self.says("runs?limit=5", {"runs": runs or []})
        return self.run()


@contextmanager
def coldsite() -> Iterator[Coldsite]:
    answers: dict[str, tuple[int, Any]] = {}
    sent: list[tuple[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            sent.append((self.path, json.loads(body or b"null")))
            self._answer()

        def _answer(self) -> None:
            status, body = answers.get(self.path, (404, {"detail": f"No such path: {self.path}"}))
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: Any) -> None:
            return None

    with served(Handler) as port:
        yield Coldsite(f"http://127.0.0.1:{port}", answers, sent)


# Answers in the shape of the API


def seen(signal: str, state: str, detail: str, **more: Any) -> Evidence:
    return Evidence.model_validate(
        {"signal": signal, "path": signal, "state": state, "counts_as": state, "detail": detail} | more
    )


def look(says: str, since: timedelta = timedelta(minutes=10), *evidence: Evidence) -> NewestLook:
    shown = list(evidence) or [seen("public", "down", "127.1.0.10 refused the connection")]
    return NewestLook.model_validate(
        {"at": NOW, "says": says, "since": NOW - since, "sentence": "What every check saw.", "evidence": shown}
    )


def waiting(phase: str, question: str | None = None, answers: tuple[str, ...] = (), **more: Any) -> WaitingRun:
    return WaitingRun.model_validate(
        {
            "run_id": RUN,
            "kind": "failover",
            "trigger": "watch",
            "phase": phase,
            "waiting_for": question,
            "answers": list(answers),
        }
        | {"waiting_until": None}
        | more
    )


def plan(**changes: Any) -> dict[str, Any]:
    """The status of a plan whose primary serves and whose last drill was yesterday, with changes."""
    run = changes.get("run")
    quiet: dict[str, Any] = {
        "name": "contoso",
        "title": "Contoso web shop",
        "mode": "automatic",
        "active_site": "primary",
        "primary_latched": False,
        "active_run": run.run_id if run else None,
        "run": None,
        "newest_look": look("up"),
        "replica": ReplicaView(
            looked_at=NOW,
            state="good",
            connected=True,
            queue_bytes=0,
            problem=None,
            data_until=NOW - timedelta(minutes=2),
            loss_limit=3600.0,
        ),
        "last_good_drill": NOW - timedelta(days=1),
        "open_alerts": 0,
        "warnings": [],
        "next_look_not_before": None,
        "paused_until": None,
        "pause_reason": None,
    }
    return PlanView.model_validate(quiet | changes).model_dump(mode="json", exclude_none=False)
