"""Calls of hooks over a real socket: the signature, and which answers count."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from aiohttp import web

from shared.models.acts import Called
from shared.models.errors import SettingError
from shared.services.hooks import post_hook

KEY = b"0123456789abcdef0123456789abcdef"
Answers = Callable[[web.Request], Awaitable[web.Response]]


def call(monkeypatch: pytest.MonkeyPatch, answers: Answers, seconds: float = 5.0) -> Called:
    async def main() -> Called:
        app = web.Application()
        app.router.add_post("/hook", answers)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        monkeypatch.setenv("MY_HOOK", f"http://127.0.0.1:{runner.addresses[0][1]}/hook")
        try:
            return await post_hook(
                "MY_HOOK", timedelta(seconds=seconds), "contoso", "run-1", "before_cutover", "call-1"
            )
        finally:
            await runner.cleanup()

    return asyncio.run(main())


def test_a_call_is_signed_and_says_what_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLDSITE_HOOK_SECRET", "whsec_" + base64.b64encode(KEY).decode())
    seen: list[tuple[dict[str, str], bytes]] = []

    async def answers(request: web.Request) -> web.Response:
        seen.append(({key.lower(): value for key, value in request.headers.items()}, await request.read()))
        return web.Response()

    assert call(monkeypatch, answers).done
    ((headers, body),) = seen
    assert json.loads(body) == {"run_id": "run-1", "plan": "contoso", "action": "before_cutover"}
    assert headers["webhook-id"] == "call-1"
    signed = f"call-1.{headers['webhook-timestamp']}.".encode() + body
    mine = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mine}"


def test_a_secret_that_is_no_key_is_a_wrong_setting_and_not_an_unsigned_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLDSITE_HOOK_SECRET", "whsec_not base64")
    monkeypatch.setenv("MY_HOOK", "http://127.0.0.1:9/hook")
    called = asyncio.run(post_hook("MY_HOOK", timedelta(seconds=2), "contoso", "run-1", "before_build"))
    assert not called.done
    assert SettingError.__name__ in called.detail


@pytest.mark.parametrize(
    ("status", "body", "done"),
    [
        (204, "", True),
        (200, '{"done": true, "message": "42 jobs stopped"}', True),
        (202, '{"JobIds": ["1"]}', True),
        (200, '{"done": false, "message": "not yet"}', False),
        (200, "<html>Sign in</html>", False),
        (200, "OK", True),
        (200, '{\n  "done": true\n}', True),
        (302, "", False),
        (500, '{"done": true}', False),
    ],
)
def test_which_answers_are_a_yes(monkeypatch: pytest.MonkeyPatch, status: int, body: str, done: bool) -> None:
    async def answers(request: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers={"Location": "/elsewhere"} if status == 302 else None)

    called = call(monkeypatch, answers)
    assert called.done is done
    assert called.reached


def test_a_hook_that_hangs_has_its_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def answers(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    called = call(monkeypatch, answers, seconds=0.3)
    assert (called.done, called.detail) == (False, "the hook did not answer (TimeoutError)")
