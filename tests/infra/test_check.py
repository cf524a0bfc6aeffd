"""check.ps1 against a small web server: endpoints that are closed, OPEN or SILENT, and a Coldsite that works or not."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from tests.infra.shell import HOOKS, Azure, PowerShell, Ran, environment, needs_powershell
from tests.serving import served

pytestmark = needs_powershell

WORKS = (200, {"seconds": 1.5, "problems": []})
type Reply = int | str | list[int] | tuple[int, dict[str, Any]]


@contextmanager
def serving(answers: Mapping[str, Reply]) -> Iterator[tuple[str, list[str]]]:
    """Each path's answer: a status, several in turn, ``close``, or a status with a document. Other paths answer 401.

    ``METHOD path`` stands before ``path`` and that before ``*``; a request with a forged sign-in is ``... forged``.
    """
    seen: list[str] = []
    left = {key: list(answer) for key, answer in answers.items() if isinstance(answer, list)}

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            call = f"{self.command} {self.path}" + (" forged" if "X-MS-CLIENT-PRINCIPAL" in self.headers else "")
            seen.append(call)
            key = next((key for key in (call, self.path, "*") if key in answers), "")
            reply: Any = answers.get(key, 401)
            if key in left:
                reply = left[key].pop(0) if len(left[key]) > 1 else left[key][0]
            if reply == "close":
                self.close_connection = True
                return
            status, body = reply if isinstance(reply, tuple) else (reply, {})
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/login")
            text = json.dumps(body).encode()
            self.send_header("Content-Type", "application/json" if status == 200 else "application/problem+json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = answer  # noqa: N815 (http.server's own names)

        def log_message(self, *_: object) -> None: ...

    with served(Handler) as port:
        yield f"http://127.0.0.1:{port}", seen


def check(
    shell: PowerShell,
    folder: Path,
    url: str,
    app: str = "app-1",
    token: str = "a.b.c",
    warns: str = "",
    patience: int = 20,
    **settings: str,
) -> Ran:
    state = {
        "account": {"user": {}, "current": "s", "tenant": "t"},
        "subscriptions": {},
        "token": token,
        "warns": warns,
    }
    azure = Azure(folder, state)
    given = environment(folder, FAKE_AZURE=str(azure.folder), COLDSITE_URL="", COLDSITE_APP="", **settings)
    return shell.run(HOOKS / "check.ps1", given, Url=url, App=app, Patience=str(patience))


def test_a_coldsite_that_is_closed_and_works_passes(shell: PowerShell, tmp_path: Path) -> None:
    with serving({"/api/selfcheck": WORKS}) as (url, seen):
        ran = check(shell, tmp_path, url)
    assert ran.error is None
    assert ran.text.count("closed  ") == 4
    assert "ran to its end in 1.5 s" in ran.text
    assert seen[-1] == "POST /api/selfcheck"


NO_PLAN = (200, {"seconds": 1.5, "problems": ["No recovery plan is deployed: plans/ is empty."]})


def test_a_site_that_was_just_made_needs_no_plan_yet(shell: PowerShell, tmp_path: Path) -> None:
    with serving({"/api/selfcheck": NO_PLAN}) as (url, _):
        ran = check(shell, tmp_path, url, COLDSITE_CREATE_SITE="true", COLDSITE_PLAN="acme")
    assert ran.error is None, ran.visible
    assert "plans/acme.yaml does not exist" in ran.text


@pytest.mark.parametrize(("create_site", "plan"), [("true", "contoso"), ("false", "acme"), ("true", "")])
def test_every_other_deployment_needs_a_plan(shell: PowerShell, tmp_path: Path, create_site: str, plan: str) -> None:
    with serving({"/api/selfcheck": NO_PLAN}) as (url, _):
        ran = check(shell, tmp_path, url, COLDSITE_CREATE_SITE=create_site, COLDSITE_PLAN=plan)
    assert "No recovery plan is deployed" in ran.visible
    assert ran.error is not None


@pytest.mark.parametrize("late", [[404, 503, 401], [500, 401]])
def test_an_app_that_is_late_is_waited_for(shell: PowerShell, tmp_path: Path, late: list[int]) -> None:
    with serving({"*": late, "/api/selfcheck": WORKS}) as (url, _):
        ran = check(shell, tmp_path, url + "/")
    assert ran.error is None, ran.visible
    assert ran.slept == 6 * (len(late) - 1)


@pytest.mark.parametrize(
    ("answers", "open_doors"),
    [
        ({"GET /api/plans": 200}, 1),
        ({"GET /api/plans forged": 200}, 1),
        ({"POST /api/alerts": 202}, 2),
        ({"POST /api/alerts": 400}, 2),
        ({"*": 403}, 4),
    ],
)
def test_an_open_door_stops_the_deployment(
    shell: PowerShell, tmp_path: Path, answers: dict[str, Reply], open_doors: int
) -> None:
    with serving(answers) as (url, _):
        ran = check(shell, tmp_path, url)
    assert ran.text.count("OPEN ") == open_doors
    assert f"{open_doors} of 4 doors are open" in str(ran.error)


@pytest.mark.parametrize("reply", [500, 404, "close"])
def test_an_app_that_does_not_work_is_silent_and_not_open(shell: PowerShell, tmp_path: Path, reply: Reply) -> None:
    with serving({"*": reply}) as (url, seen):
        ran = check(shell, tmp_path, url)
    assert "SILENT" in ran.text
    assert "OPEN" not in ran.visible
    assert "nothing is known of its doors" in str(ran.error)
    assert ran.slept < 120
    assert set(seen) == {"GET /api/plans"}


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://func-coldsite-nowhere.invalid"])
def test_an_address_where_nothing_answers_is_silent(shell: PowerShell, tmp_path: Path, url: str) -> None:
    ran = check(shell, tmp_path, url)
    assert "SILENT" in ran.text
    assert f"Coldsite does not work at {url}" in str(ran.error)


def test_a_redirect_to_a_sign_in_page_is_neither_followed_nor_open(shell: PowerShell, tmp_path: Path) -> None:
    with serving({"*": 302, "/login": 200}) as (url, seen):
        ran = check(shell, tmp_path, url)
    assert "is redirected (302)" in str(ran.error)
    assert "OPEN" not in ran.visible
    assert "GET /login" not in seen


def test_without_an_address_nothing_is_asked(shell: PowerShell, tmp_path: Path) -> None:
    ran = check(shell, tmp_path, "")
    assert "COLDSITE_URL is not set" in str(ran.error)
    assert ran.slept == 0


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (401, "does not accept a token"),
        ((403, {"detail": "The role viewer is required."}), "The role viewer is required."),
        ((503, {"detail": "The durable engine does not answer."}), "The durable engine does not answer."),
        (404, "answered 404"),
        ((200, {"hello": "world"}), "is not Coldsite"),
        ("close", "answered nothing"),
    ],
)
def test_what_does_not_prove_that_it_works_is_not_called_installed(
    shell: PowerShell, tmp_path: Path, reply: Reply, expected: str
) -> None:
    with serving({"/api/selfcheck": reply}) as (url, _):
        ran = check(shell, tmp_path, url)
    assert expected in str(ran.error)
    assert "works   " not in ran.text


@pytest.mark.parametrize(
    ("app", "token", "expected"), [("", "a.b.c", "COLDSITE_APP"), ("app-1", "", "give yourself a role")]
)
def test_without_a_token_it_says_what_to_do(
    shell: PowerShell, tmp_path: Path, app: str, token: str, expected: str
) -> None:
    with serving({"/api/selfcheck": WORKS}) as (url, _):
        ran = check(shell, tmp_path, url, app, token)
    assert expected.lower() in str(ran.error).lower()
    assert f"check.ps1 -Url {url}" in str(ran.error)


def test_an_app_that_lacks_a_secret_is_not_called_installed(shell: PowerShell, tmp_path: Path) -> None:
    problems = {"seconds": 2, "problems": ["The app setting NOTIFY_URL refers to Key Vault."]}
    with serving({"/api/selfcheck": (200, problems)}) as (url, _):
        ran = check(shell, tmp_path, url)
    assert "NOTIFY_URL refers to Key Vault" in ran.text
    assert "lacks what a failover needs" in str(ran.error)


def test_an_app_that_accepts_and_never_answers_is_given_up(shell: PowerShell, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ran = check(shell, tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}", patience=1)
    assert "SILENT" in ran.text
    assert "nothing is known of its doors" in str(ran.error)


@pytest.mark.parametrize("warns", ["WARNING: a new version of the Azure CLI is there.", ""])
@pytest.mark.parametrize("token", ["se.cr.et", ""])
def test_a_token_is_found_beside_a_warning_and_never_shown(
    shell: PowerShell, tmp_path: Path, warns: str, token: str
) -> None:
    with serving({"/api/selfcheck": WORKS}) as (url, _):
        ran = check(shell, tmp_path, url, token=token, warns=warns)
    assert (ran.error is None) is bool(token), ran.visible
    assert "se.cr.et" not in ran.visible
