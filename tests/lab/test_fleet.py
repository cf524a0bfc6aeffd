"""Many Coldsites at a glance: asked side by side, or sending their status by themselves."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from playwright.async_api import expect
from typer.testing import CliRunner

from cli import contexts
from cli.api import ApiError
from cli.contexts import Context
from cli.fleet_server import FleetServer
from cli.main import app, main
from shared.models.signing import signature
from shared.services.outbound import beat, push_status
from tests.lab.browser import NARROW, faults_of, needs_browser, visited
from tests.lab.peer import free_port
from tests.lab.screens import coldsite

NOW = datetime.now(UTC)
KEY = base64.b64encode(b"k" * 32).decode()


def plan(name: str, word: str = "ALL WELL", tone: str = "well", **more: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "name": name,
        "title": name.title(),
        "word": word,
        "tone": tone,
        "sentence": "Customers are served from the primary site.",
        "since": None,
        "waits_for_a_person": False,
        "acknowledged_by": None,
        "last_good_drill": None,
    }
    return usual | more


def status(*plans: dict[str, Any]) -> dict[str, Any]:
    return {"app": "", "page": "", "at": NOW.isoformat(), "plans": list(plans)}


@pytest.fixture(autouse=True)
def own_contexts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("COLDSITE_URL", "COLDSITE_KEY", "COLDSITE_APP", "COLDSITE_TOKEN", "COLDSITE_CONTEXT"):
        monkeypatch.setenv(name, "")  # What a command sets is undone after the test.
    monkeypatch.setenv("COLDSITE_CONFIG", str(tmp_path / "contexts.yaml"))
    return tmp_path / "contexts.yaml"


def run(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


@pytest.fixture
def forty() -> Iterator[None]:
    """38 that answer, one of them with an outage; one that is down, and one that refuses the key."""
    with ExitStack() as stack:
        known = contexts.Contexts()
        for number in range(39):
            site = stack.enter_context(coldsite())
            name = f"customer{number:02}"
            if number == 7:
                since = (datetime.now(UTC) - timedelta(minutes=5)).isoformat()
                bad = plan(name, "SHOP DOWN", "down", since=since, waits_for_a_person=True, acknowledged_by="kim")
                site.says("status", status(bad))
            elif number == 38:
                site.says("status", {"detail": "no"}, status=401)
            else:
                site.says("status", status(plan(name)))
            known.contexts[name] = Context(url=site.url, key="k")
        known.contexts["gone"] = Context(url=f"http://127.0.0.1:{free_port()}", key="k")
        contexts.write(known)
        yield


def test_forty_customers_are_shown_worst_first_in_three_seconds(forty: None) -> None:
    found = json.loads(run("fleet", "--output", "json"))
    assert [line["context"] for line in found[:3]] == ["customer07", "customer38", "gone"]
    assert "For 5 min" in found[0]["sentence"]
    assert "kim is on it." in found[0]["sentence"]
    assert "(401)" in found[1]["sentence"]
    assert len(found) == 40
    assert {line["word"] for line in found[3:]} == {"ALL WELL"}
    printed = run("fleet", code=1)
    assert printed.index("customer07") < printed.index("customer00")


def test_a_context_is_used_until_another_is_named(own_contexts: Path) -> None:
    with coldsite() as first, coldsite() as other:
        for name, site in (("one", first), ("other", other)):
            site.says("plans", {"plans": []})
            site.says("runs?limit=5", {"runs": []})
            run("context", "add", name, "--url", site.url, "--key", name)
        assert stat.S_IMODE(own_contexts.stat().st_mode) == 0o600, "it holds keys"
        assert "* other" in run("context", "list")
        run("--context", "one")
        run("context", "use", "one")
        run()
        run("context", "remove", "one")
        assert "one" not in run("context", "list").replace("None yet", "")


def test_a_context_that_is_added_again_keeps_what_was_known() -> None:
    for more in (["--key", "k"], ["--secret", f"whsec_{KEY}"]):
        run("context", "add", "acme", "--url", "https://acme.example", *more)
    known = contexts.read().contexts["acme"]
    assert (known.key, known.secret) == ("k", f"whsec_{KEY}")
    with pytest.raises(ApiError, match="not https"):
        CliRunner().invoke(app, ["context", "add", "bad", "--url", "ftp://x"], catch_exceptions=False)


@pytest.mark.parametrize(
    ("text", "says"),
    [("contexts: [", "cannot be used"), ("current: nine", "There is no context 'nine'"), ("contexts: {a: {}}", "url")],
)
def test_a_file_that_cannot_be_used_is_named(
    own_contexts: Path, text: str, says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own_contexts.write_text(text)
    monkeypatch.setattr("sys.argv", ["coldsite", "runs", "list"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert says in " ".join(capsys.readouterr().err.split())


# The provider's page


def received(posts: list[tuple[str, bytes, dict[str, str]]]) -> tuple[list[int], str]:
    """The answers to signed documents, and the page after them."""
    server = FleetServer(
        {
            "acme": Context(url="https://acme.example", secret=f"whsec_{KEY}"),
            "blue": Context(url="https://blue.example", secret=f"whsec_{KEY}"),
            "none": Context(url="https://none.example"),
        }
    )

    async def main() -> tuple[list[int], str]:
        async with Served(server.app()) as url, aiohttp.ClientSession() as session:
            answers = []
            for name, body, headers in posts:
                async with session.post(f"{url}/status/{name}", data=body, headers=headers) as answer:
                    answers.append(answer.status)
            async with session.get(url) as page:
                return answers, await page.text()

    return asyncio.run(main())


class Served:
    """A web application at a socket of its own."""

    def __init__(self, made: web.Application) -> None:
        self._runner = web.AppRunner(made, shutdown_timeout=0.1)

    async def __aenter__(self) -> str:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


def signed(document: Any, key: bytes = b"k" * 32) -> tuple[bytes, dict[str, str]]:
    body = json.dumps(document).encode()
    return body, signature(key, f"m{len(body)}", body, time.time())


def test_the_page_shows_what_was_signed_and_who_is_silent() -> None:
    body, headers = signed(status(plan("shop", "RECOVERING", "working", sentence="<b>Building</b>")))
    answers, page = received([("acme", body, headers)])
    assert answers == [204]
    assert "&lt;b&gt;Building&lt;/b&gt;" in page
    assert page.index("SILENT") < page.index("RECOVERING")
    assert "https://blue.example/api/dashboard" in page
    assert "none.example" not in page


@needs_browser
def test_the_page_of_every_customer_has_no_fault_and_fits_a_phone() -> None:
    names = ("shop", "bakery", "clinic", "depot", "estate")
    tones = ("SHOP DOWN", "down"), ("ACTION REQUIRED", "asking"), ("RECOVERING", "working"), ("PAUSED", "paused")
    server = FleetServer({name: Context(url=f"https://{name}.example", secret=f"whsec_{KEY}") for name in names})

    async def main() -> None:
        async with Served(server.app()) as url, aiohttp.ClientSession() as session:
            for name, (word, tone) in zip(names, tones, strict=False):
                body, headers = signed(status(plan(name, word, tone)))
                async with session.post(f"{url}/status/{name}", data=body, headers=headers) as answer:
                    assert answer.status == 204
            async with visited(url, NARROW) as (page, complaints):
                first = page.locator("tr.down")
                await expect(first).to_contain_text("shop SHOP DOWN", use_inner_text=True)
                await expect(page.locator("tr.silent")).to_contain_text("estate")
                assert await faults_of(page) == []
                await page.clock.install()
                await page.reload()
                body, headers = signed(status(plan("shop", "ALL WELL", "well")))
                async with session.post(f"{url}/status/shop", data=body, headers=headers) as answer:
                    assert answer.status == 204
                await page.clock.fast_forward(16_000)
                await expect(page.locator("tr.well")).to_contain_text("shop")
                assert complaints == []
                await page.route("**/*", lambda route: route.abort())
                await page.clock.fast_forward(16_000)
                await expect(page.locator("main p")).to_contain_text("NOT UPDATED")

    asyncio.run(main())


def test_what_is_not_signed_with_the_customer_s_key_is_refused() -> None:
    good = status(plan("shop"))
    body, headers = signed(good)
    old = headers | {"webhook-timestamp": str(int(time.time()) - 3600)}
    answers, page = received(
        [
            ("acme", body, {}),
            ("acme", body + b" ", headers),
            ("acme", body, old),
            ("acme", *signed(good, b"x" * 32)),
            ("none", body, headers),
            ("unknown", body, headers),
            ("acme", *signed({"plans": [{}]})),
            ("acme", *signed([])),
        ]
    )
    assert answers == [401, 401, 401, 401, 401, 401, 422, 422]
    assert "ALL WELL" not in page


def test_the_app_sends_its_status_and_its_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    server = FleetServer({"acme": Context(url="https://acme.example", secret=f"whsec_{KEY}")})
    beats: list[str] = []

    async def beaten(request: web.Request) -> web.Response:
        beats.append(request.method)
        return web.Response()

    async def main() -> list[str]:
        made = server.app()
        made.router.add_get("/beat", beaten)
        async with Served(made) as url:
            monkeypatch.setenv("COLDSITE_STATUS_URL", f"{url}/status/acme")
            monkeypatch.setenv("COLDSITE_STATUS_SECRET", f"whsec_{KEY}")
            monkeypatch.setenv("COLDSITE_HEARTBEAT_URL", f"{url}/beat")
            await push_status(json.dumps(status(plan("shop"))))
            await beat()
        return [line.word for line in server.lines()]

    assert asyncio.run(main()) == ["ALL WELL"]
    assert beats == ["GET"]


def test_an_address_that_does_not_answer_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/x?key=s3cret"
    for name in ("COLDSITE_STATUS_URL", "COLDSITE_HEARTBEAT_URL"):
        monkeypatch.setenv(name, nowhere)
    monkeypatch.setenv("COLDSITE_STATUS_SECRET", f"whsec_{KEY}")
    asyncio.run(beat())
    asyncio.run(push_status("{}"))
    monkeypatch.setenv("COLDSITE_STATUS_SECRET", "not base64!")
    asyncio.run(push_status("{}"))
    assert len(caplog.messages) == 3
    assert "s3cret" not in caplog.text
