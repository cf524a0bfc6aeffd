"""One declaration for an endpoint: its route, the role that it needs, its problem documents and its OpenAPI entry."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import azure.durable_functions as df
import azure.functions as func
from pydantic import BaseModel

from functions.engine import DurableEngine
from functions.http.auth import FOR_ALERTS, FOR_PEOPLE, PersonRole, caller_of
from functions.http.responses import answering


@dataclass(frozen=True)
class ApiOperation:
    """One operation as the OpenAPI document describes it. ``refuses`` are its error statuses beyond the common ones.

    Without a ``role`` the sender of an alert is let in, by a function key or by Azure Monitor's token.
    """

    method: str
    path: str
    summary: str
    role: PersonRole | None
    gives: Any
    takes: type[BaseModel] | None = None
    status: int = 200
    refuses: tuple[int, ...] = ()
    media: str = "application/json"
    rehearses: Any = None
    """What ``?what_if=true`` gives, with status 200; None where there is no rehearsal."""


CHANGES = (400, 404, 409, 413, 415, 422)
"""The error statuses of an operation that changes things."""

OPERATIONS: list[ApiOperation] = []
"""Every operation of the app, in the order in which its modules were loaded."""

type Handler = Callable[..., Awaitable[func.HttpResponse]]


def endpoint(
    bp: df.Blueprint,
    method: str,
    path: str,
    summary: str,
    *,
    role: PersonRole | None,
    gives: Any,
    takes: type[BaseModel] | None = None,
    status: int = 200,
    refuses: tuple[int, ...] = (),
    rehearses: Any = None,
    media: str = "application/json",
) -> Callable[[Handler], Handler]:
    """Registers a handler as the function of its own name, and the operation in the OpenAPI document.

    The handler takes the caller, who has the ``role``, then the request, and the ``engine`` if it names one; without a
    role there is no caller, and it checks the sender itself. Every error becomes a problem document.
    """
    operation = ApiOperation(method, path, summary, role, gives, takes, status, refuses, media, rehearses)

    def decorate(handler: Handler) -> Handler:
        async def checked(request: func.HttpRequest, *more: Any) -> func.HttpResponse:
            if role is None:
                return await handler(request, *more)
            return await handler(caller_of(request, role), request, *more)

        return _register(bp, handler, [operation], path, checked)

    return decorate


def is_rehearsal(request: func.HttpRequest) -> bool:
    """Whether the call asks only what it would do."""
    return bool(request.params.get("what_if") == "true")


def family(bp: df.Blueprint, route: str, operations: Sequence[ApiOperation]) -> Callable[[Handler], Handler]:
    """Registers one handler for several operations that share a route; it checks the caller's role itself."""

    def decorate(handler: Handler) -> Handler:
        return _register(bp, handler, operations, route, handler)

    return decorate


def _register(
    bp: df.Blueprint, handler: Handler, operations: Sequence[ApiOperation], path: str, checked: Handler
) -> Handler:
    OPERATIONS.extend(operations)
    guarded = answering(checked)
    run: Handler
    if "engine" in inspect.signature(handler).parameters:

        async def run_with_engine(req: func.HttpRequest, client: df.DurableFunctionsClient) -> func.HttpResponse:
            return await guarded(req, DurableEngine(client))

        run = run_with_engine
        run.__annotations__ = {"req": func.HttpRequest, "client": df.DurableFunctionsClient}
    else:

        async def run_alone(req: func.HttpRequest) -> func.HttpResponse:
            return await guarded(req)

        run = run_alone
        run.__annotations__ = {"req": func.HttpRequest}
    run.__annotations__["return"] = func.HttpResponse
    run.__name__ = run.__qualname__ = handler.__name__
    run.__doc__ = handler.__doc__
    registered: Any = bp.durable_client_input(client_name="client")(run) if "client" in run.__annotations__ else run
    level = FOR_ALERTS if operations[0].role is None else FOR_PEOPLE
    bp.route(route=path.strip("/"), methods=[operations[0].method.upper()], auth_level=level)(registered)
    return handler
