"""Azure Resource Manager over HTTPS: tokens, roles, faults and throttling in front; one handler an operation behind.

A path that no operation models is refused by name: ``404 NotSimulated: PUT ...``.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from lab.clock import Clock
from lab.cloud.errors import ArmError
from lab.cloud.faults import Fault, Faults, refuse
from lab.cloud.identity import Identity
from lab.cloud.operations import ArmOperation, Operations
from lab.cloud.throttling import Throttling
from lab.cloud.times import Times


@dataclass
class Call:
    """One request, as a handler sees it. ``names`` are the path's parameters, in the caller's spelling."""

    method: str
    path: str
    names: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any]
    caller: str
    fault: Fault | None = None

    @property
    def scope(self) -> str:
        """The resource or group that the call is about, without trailing actions."""
        return self.path


@dataclass
class Answer:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class NoAnswerError(Exception):
    """The connection breaks off: the caller gets no answer, whatever was done."""


type Handle = Callable[[Call], Awaitable[Answer]]


@dataclass
class ArmRoute:
    """One modelled operation. ``label`` names it in faults and counts, ``action`` is the permission it needs."""

    method: str
    template: str
    pattern: re.Pattern[str]
    label: str
    action: str
    versions: frozenset[str]
    handle: Handle


class ResourceManager:
    """The front door. Services register their operations with ``model``."""

    def __init__(self, clock: Clock, times: Times, identity: Identity, audiences: set[str]) -> None:
        self.clock = clock
        self.times = times
        self.identity = identity
        self.operations = Operations(clock)
        self.faults = Faults()
        self.throttling = Throttling(clock)
        self.calls: Counter[str] = Counter()
        self.throttled = 0
        self.base = ""
        self.after_write: Callable[[str], Awaitable[bool]] | None = None
        """Called after a write was applied; True means that the caller is gone and gets no answer."""
        self._audiences = audiences
        self._routes: list[ArmRoute] = []

    def model(self, method: str, template: str, action: str, versions: set[str], handle: Handle) -> None:
        """Adds one operation. ``template`` has ``{names}``; matching ignores case, as Azure does."""
        pattern = re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template) + "$", re.IGNORECASE)
        types = re.findall(r"/([A-Za-z]+)(?=/\{|$)", template.split("/providers/")[-1])
        label = f"{method} {types[-1] if types else template}"
        self._routes.append(ArmRoute(method, template, pattern, label, action, frozenset(versions), handle))

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answers any request below the front door."""
        try:
            answer = await self.answer(request)
        except NoAnswerError:
            if request.transport:
                request.transport.abort()
            return web.Response(status=500)
        if answer.body is None:
            return web.Response(status=answer.status, headers=answer.headers)
        return web.json_response(answer.body, status=answer.status, headers=answer.headers)

    async def answer(self, request: web.Request) -> Answer:
        """What a request is answered, refusals included. Raises ``NoAnswerError`` when the connection breaks off."""
        try:
            return await self._perform(request)
        except ArmError as error:
            if error.status == 429:
                self.throttled += 1
            headers = error.headers | ({"WWW-Authenticate": 'Bearer realm="lab"'} if error.status == 401 else {})
            return Answer(error.status, error.body, headers)

    async def _perform(self, request: web.Request) -> Answer:
        path = request.path.rstrip("/")
        matches = [(route, match) for route in self._routes if (match := route.pattern.match(path))]
        chosen = next(((r, m) for r, m in matches if r.method == request.method), None)
        if chosen is None:
            raise ArmError(404, "NotSimulated", f"NotSimulated: {request.method} {path}. The lab does not model this.")
        route, match = chosen
        caller = self.identity.caller(request, self._audiences)
        version = request.query.get("api-version", "")
        if not version:
            raise ArmError(
                400, "MissingApiVersionParameter", "The api-version query parameter (?api-version=) is required."
            )
        if route.versions and version not in route.versions:
            modelled = ", ".join(sorted(route.versions))
            raise ArmError(
                400, "InvalidApiVersionParameter", f"The api-version '{version}' is not modelled; {modelled} is."
            )
        if route.action:
            self.identity.check(caller, route.action, path)
        self.calls[route.label] += 1
        body = await self._body(request)
        size = ((body.get("properties") or {}).get("hardwareProfile") or {}).get("vmSize")
        if wait := self.throttling.wait_for_the_subscription(request.method, caller):
            raise self._subscription_throttled(request.method, wait)
        if wait := self.throttling.wait(route.label, path, caller):
            raise self._too_many(wait)
        fault = self.faults.take(request.method, self._words(route), size)
        call = Call(request.method, path, match.groupdict(), dict(request.query), dict(request.headers), body, caller)
        if fault is not None:
            if fault.error == "reset":
                raise NoAnswerError
            call.fault = None if fault.error == "lost" else fault
            if fault.error == "429" or (fault.error.isdigit() and int(fault.error) >= 500):
                raise refuse(fault, self.retry_after(fault.retry_after))
        answer = await route.handle(call)
        writes = request.method in ("PUT", "PATCH", "POST", "DELETE")
        gone = writes and self.after_write and await self.after_write(route.label)
        if gone or (fault and fault.error == "lost"):
            raise NoAnswerError
        return answer

    @property
    def operation_words(self) -> set[str]:
        """What a fault can name: a method and a type or action of a modelled operation."""
        return {f"{route.method} {word}" for route in self._routes for word in self._words(route)}

    @staticmethod
    def _words(route: ArmRoute) -> set[str]:
        named = set(re.findall(r"/([A-Za-z]+)(?=/|$)", route.template.split("/providers/")[-1]))
        return {word.lower() for word in named} | ({"endpoints"} if "endpoint" in route.template.lower() else set())

    @staticmethod
    async def _body(request: web.Request) -> dict[str, Any]:
        raw = await request.read()
        if not raw:
            return {}
        try:
            data = json.loads(raw)
        except ValueError:
            raise ArmError(400, "InvalidRequestContent", "The request content was invalid JSON.") from None
        if not isinstance(data, dict):
            raise ArmError(400, "InvalidRequestContent", "The request content must be an object.")
        return data

    def retry_after(self, simulated: float) -> int:
        """A Retry-After header's value: scaled like everything else, rounded up to a whole second."""
        return max(1, math.ceil(self.clock.real(simulated)))

    def _subscription_throttled(self, method: str, wait: float) -> ArmError:
        """Source: MicrosoftDocs/azure-docs, issue 105248, and articles/azure-resource-manager/management/
        request-limits-and-throttling.md.
        """
        return ArmError(
            429,
            "SubscriptionRequestsThrottled",
            f"Number of {method} requests for the subscription exceeded the limit. Please try again later.",
            Retry_After=str(self.retry_after(wait)),
        )

    def _too_many(self, wait: float) -> ArmError:
        return ArmError(
            429,
            "OperationNotAllowed",
            "The server rejected the request because too many requests have been received for this subscription. "
            "TooManyRequests.",
            Retry_After=str(self.retry_after(wait)),
        )

    def operation_headers(self, operation: ArmOperation, location: str, api_version: str, kind: str) -> dict[str, str]:
        """The polling address of an operation, and when to ask there.

        Source: recordings of disk and snapshot PUT in Azure/azure-cli (DiskOperations for disks and snapshots).
        """
        subscription = operation.resource.split("/")[2]
        url = (
            f"{self.base}/subscriptions/{subscription}/providers/Microsoft.Compute/locations/{location}"
            f"/{kind}/{operation.name}"
        )
        return {
            "Azure-AsyncOperation": f"{url}?api-version={api_version}",
            "Location": f"{url}?monitor=true&api-version={api_version}",
            **self._advice(operation, 0),
        }

    def _advice(self, operation: ArmOperation, poll: int) -> dict[str, str]:
        """The Retry-After of an answer, in whole real seconds, as the clients demand: exact where the speed
        divides it.
        """
        if operation.retry_after is None or poll > 1 or operation.end is not None:
            return {}
        return {"Retry-After": str(self.retry_after(operation.retry_after[poll]))}

    def model_operations(self) -> None:
        """The polling addresses of operations."""

        async def read(call: Call) -> Answer:
            operation = self.operations.all.get(call.names["id"])
            if operation is None:
                raise ArmError(404, "NotFound", f"The entity was not found: operation {call.names['id']}.")
            operation.polls += 1
            if call.query.get("monitor") == "true":
                if operation.end is None:
                    again = f"{self.base}{call.path}?monitor=true&api-version={call.query['api-version']}"
                    return Answer(202, None, {"Location": again, **self._advice(operation, operation.polls)})
                if operation.error:
                    raise ArmError(409, operation.error["code"], operation.error["message"])
                return Answer(200, operation.output) if operation.output is not None else Answer(204)
            return Answer(200, self.operations.body(operation), self._advice(operation, operation.polls))

        for kind in ("operations", "diskOperations"):
            self.model(
                "GET",
                f"/subscriptions/{{subscription}}/providers/Microsoft.Compute/locations/{{location}}/{kind}/{{id}}",
                f"Microsoft.Compute/locations/{kind}/read",
                set(),
                read,
            )
