"""The command's HTTP client: the API's address, its answers, and a message when there is none."""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from azure.core.exceptions import AzureError
from azure.identity import AzureCliCredential

from cli import contexts
from cli.contexts import Context

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?")
ENDPOINTS = Path(".lab") / "endpoints.json"


class ApiError(Exception):
    """A refusal or an outage; ``status`` is 0 without an answer."""

    def __init__(self, status: int, detail: str, body: dict[str, Any] | None = None) -> None:
        self.status = status
        self.detail = detail
        self.body = body or {}
        super().__init__(detail)


class UnreachableError(ApiError):
    """No answer came; an order may have arrived all the same."""

    def __init__(self, detail: str) -> None:
        super().__init__(0, detail)


@dataclass(frozen=True)
class Target:
    """The Coldsite to call, and its credentials. ``speed`` is above 1 for a lab, whose durations are simulated."""

    url: str
    headers: dict[str, str]
    speed: float = 1.0
    is_lab: bool = False


def find_target(url: str | None, key: str | None) -> Target:
    """From --url, else --context, else COLDSITE_URL, else the lab that runs in this folder, else the context in use.
    Raises ``ApiError`` and ``ContextError``.

    Credentials: ``key``; else COLDSITE_TOKEN; else the account of the Azure CLI, where COLDSITE_APP names the app's
    registration; else COLDSITE_KEY.
    """
    if url:
        return Target(checked(url), _who(key))
    if os.environ.get("COLDSITE_CONTEXT") and (named := contexts.chosen()):
        return target_of(named[1], key)
    if where := os.environ.get("COLDSITE_URL"):
        return Target(checked(where), _who(key))
    for folder in (Path.cwd(), *Path.cwd().parents):
        file = folder / ENDPOINTS
        if file.is_file():
            return _lab(file, key)
    if (current := contexts.chosen()) is not None:
        return target_of(current[1], key)
    raise ApiError(
        0,
        "No Coldsite is configured. `coldsite context add NAME --url URL --app ID` adds one (`azd env get-values` "
        "shows both), or set COLDSITE_URL and COLDSITE_APP. Or start a local lab with `coldsite lab up`.",
    )


def target_of(context: Context, key: str | None = None) -> Target:
    """A context's Coldsite. ``key`` wins over its own credentials. Raises ``ApiError``."""
    url = checked(context.url)
    if key is None and context.app:
        return Target(url, _bearer(_signed_in(context.app)))
    return Target(url, {"x-functions-key": key or context.key or ""})


def checked(where: str) -> str:
    """The address without a slash at its end. Raises ``ApiError`` where credentials could be intercepted on the way."""
    where = where.rstrip("/")
    if not re.match(r"https://|http://(127(\.\d{1,3}){3}|localhost)(:\d+)?$", where):
        raise ApiError(0, f"{where} is not https, so your credentials could be intercepted.")
    if not _HOST.fullmatch(where.partition("://")[2].partition("/")[0]):
        raise ApiError(0, f"{where} is not a URL. `azd env get-value COLDSITE_URL` prints yours.")
    return where


def remember(url: str | None, key: str | None, context: str | None = None) -> None:
    """Options in front of a command apply to the command."""
    if context:
        os.environ["COLDSITE_CONTEXT"] = context
    if url:
        os.environ["COLDSITE_URL"] = url
        os.environ.pop("COLDSITE_CONTEXT", None)
    if key:
        os.environ["COLDSITE_KEY"] = key
        for other in ("COLDSITE_TOKEN", "COLDSITE_APP"):
            os.environ.pop(other, None)


def _who(key: str | None) -> dict[str, str]:
    token, app = os.environ.get("COLDSITE_TOKEN"), os.environ.get("COLDSITE_APP")
    if key is None and (token or app):
        return _bearer(token or _signed_in(str(app)))
    return {"x-functions-key": key or os.environ.get("COLDSITE_KEY", "")}


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {''.join(token.split())}"}


def _lab(file: Path, key: str | None) -> Target:
    try:
        lab = json.loads(file.read_text())
        tokens = lab.get("tokens") or {}
        url, speed, own_key = str(lab["functions"]), float(lab.get("speed", 1.0)), str(lab["function_key"])
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ApiError(0, f"{file} is not usable ({type(error).__name__}). Start the lab again.") from error
    if tokens and key is None:
        return Target(url, _bearer(os.environ.get("COLDSITE_TOKEN") or next(iter(tokens.values()))), speed, is_lab=True)
    return Target(url, {"x-functions-key": key or own_key}, speed, is_lab=True)


def _signed_in(app: str) -> str:
    """The Azure CLI account's access token for the app registration ``app``."""
    try:
        return str(AzureCliCredential().get_token(f"api://{app}/.default").token)
    except AzureError as error:
        why = str(error).splitlines()[0][:300]
        raise ApiError(401, f"The Azure CLI has no token for Coldsite. Sign in with `az login`. ({why})") from error


class Api:
    """Blocking calls for a command line."""

    def __init__(self, target: Target, timeout: float = 60.0) -> None:
        """``timeout``: seconds for a whole answer."""
        self.target = target
        self._timeout = timeout

    def get(self, path: str) -> dict[str, Any]:
        return self._call("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._call("POST", path, body)

    def page(self, path: str) -> str:
        """A page of HTML."""
        status, text = asyncio.run(self._send("GET", path, None, {"Accept": "text/html"}))
        if status >= 400:
            self._read(status, text)
        return text

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        return self._read(*asyncio.run(self._send(method, path, body, {})))

    async def _send(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(total=self._timeout)
        try:
            async with (
                aiohttp.ClientSession(headers=self.target.headers | headers, timeout=timeout) as session,
                session.request(method, f"{self.target.url}/api/{path}", json=body) as response,
            ):
                return response.status, await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            sent = " The order may have arrived; `coldsite` shows the status." if method == "POST" else ""
            raise UnreachableError(
                f"Coldsite at {self.target.url} does not answer ({type(error).__name__}).{sent}"
            ) from error

    def _read(self, status: int, text: str) -> dict[str, Any]:
        """The answer's document. Raises ``ApiError`` for a refusal, with its detail."""
        try:
            data = json.loads(text) if text else {}
        except ValueError:
            data = None
        problem = data if isinstance(data, dict) else {}
        if status == 401:
            message = problem.get("detail") or "The function key is missing or wrong, or you are not signed in."
            raise ApiError(401, f"{message} Set COLDSITE_APP and sign in with `az login`, or pass a key with `--key`.")
        if status >= 400:
            raise ApiError(status, problem.get("detail") or f"Coldsite answered {status}.", problem)
        if not isinstance(data, dict):
            raise ApiError(0, f"The server at {self.target.url} is not Coldsite.")
        return data
