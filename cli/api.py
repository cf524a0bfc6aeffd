"""The HTTP API as the command sees it: where it is, what it answers, and what to say when it does not."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from azure.core.exceptions import AzureError
from azure.identity import AzureCliCredential

ENDPOINTS = Path(".lab") / "endpoints.json"


class ApiError(Exception):
    """A refusal or an outage; ``status`` is 0 when nothing answered."""

    def __init__(self, status: int, detail: str, body: dict[str, Any] | None = None) -> None:
        self.status = status
        self.detail = detail
        self.body = body or {}
        super().__init__(detail)


@dataclass(frozen=True)
class Target:
    """Which Coldsite to talk to. ``speed`` is above 1 for a lab, whose durations are then simulated ones."""

    url: str
    headers: dict[str, str]
    speed: float = 1.0


def find_target(url: str | None, key: str | None) -> Target:
    """From the options, else the environment, else a lab that runs beside. Raises ``ApiError``.

    Who is asking: COLDSITE_APP names the app's registration, and `az login` says who you are; else a function key.
    """
    url, key = url or os.environ.get("COLDSITE_URL"), key or os.environ.get("COLDSITE_KEY")
    app, token = os.environ.get("COLDSITE_APP"), os.environ.get("COLDSITE_TOKEN")
    if url:
        if token or (app and not key):
            return Target(url.rstrip("/"), {"Authorization": f"Bearer {token or _signed_in(str(app))}"})
        return Target(url.rstrip("/"), {"x-functions-key": key or ""})
    for folder in (Path.cwd(), *Path.cwd().parents):
        file = folder / ENDPOINTS
        if file.is_file():
            lab = json.loads(file.read_text())
            token = token or next(iter(lab.get("tokens", {}).values()), None)
            headers = {"Authorization": f"Bearer {token}"} if token else {"x-functions-key": lab["function_key"]}
            return Target(lab["functions"], headers, lab.get("speed", 1.0))
    raise ApiError(
        0,
        "No Coldsite to talk to. Start one here with `coldsite lab up`, or name yours with --url and --key "
        "(or COLDSITE_URL and COLDSITE_KEY).",
    )


def _signed_in(app: str) -> str:
    """The access token of whoever is signed in to the Azure CLI, for the app registration ``app``."""
    try:
        return str(AzureCliCredential().get_token(f"api://{app}/.default").token)
    except AzureError as error:
        raise ApiError(401, f"The Azure CLI has no token for Coldsite. Sign in with `az login`. {error}") from error


class Api:
    """Blocking calls for a command line."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._call("POST", path, body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        return asyncio.run(self._send(method, path, body))

    async def _send(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        timeout = aiohttp.ClientTimeout(total=60)
        try:
            async with (
                aiohttp.ClientSession(headers=self.target.headers, timeout=timeout) as session,
                session.request(method, f"{self.target.url}/api/{path}", json=body) as response,
            ):
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(0, f"Coldsite at {self.target.url} does not answer ({type(error).__name__}).") from error
        data = json.loads(text) if text.startswith("{") else {}
        if response.status == 401:
            said = data.get("detail") or "The function key is missing or wrong, or you are not signed in."
            raise ApiError(401, f"{said} Give --key or COLDSITE_KEY, or set COLDSITE_APP and sign in with `az login`.")
        if response.status >= 400:
            raise ApiError(response.status, data.get("detail") or f"Coldsite answered {response.status}.", data)
        return data
