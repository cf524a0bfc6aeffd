"""HTTP as every trigger uses it: JSON bodies in, JSON or RFC 9457 problem documents out."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Concatenate

import azure.functions as func
from azure.core.exceptions import AzureError
from pydantic import ValidationError

from functions.deployed_plans import PLANS
from functions.http import auth
from shared.models import errors
from shared.models.base import Strict
from shared.models.json_limits import OverLimitError, read_json
from shared.models.plan import RecoveryPlan
from shared.services.announce import FAILED

MAX_BODY = 64 * 1024
_log = logging.getLogger("coldsite.http")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Strict-Transport-Security": "max-age=31536000",
    "X-Content-Type-Options": "nosniff",
}
"""On every response: it is never framed as a page, and never cached."""
_TITLES = {
    400: "Malformed request",
    401: "Authentication required",
    403: "Forbidden",
    404: "Not found",
    409: "Conflict",
    413: "Request too large",
    415: "Unsupported media type",
    422: "Unprocessable request",
    503: "Service unavailable",
}


class BadRequestError(errors.ColdsiteError):
    """The route does not accept the request; ``status`` is 400, 413, 415 or 422."""

    def __init__(self, message: str, status: int = 400) -> None:
        self.status = status
        super().__init__(message)


def answer(body: Any, status: int = 200, **headers: str) -> func.HttpResponse:
    return _respond(body, status, "application/json", headers)


def page(html: str, policy: str) -> func.HttpResponse:
    """A page of Coldsite's own, with its content security policy."""
    headers = _HEADERS | {"Content-Security-Policy": policy}
    return func.HttpResponse(html, status_code=200, mimetype="text/html", charset="utf-8", headers=headers)


def elsewhere(address: str) -> func.HttpResponse:
    """What is asked for is at another address, which is not kept: it may stop being valid."""
    return func.HttpResponse(
        status_code=302, headers=_HEADERS | {"Location": address, "Referrer-Policy": "no-referrer"}
    )


def unchanged(tag: str) -> func.HttpResponse:
    """Nothing has changed since the caller's copy."""
    return func.HttpResponse(status_code=304, headers=_HEADERS | {"ETag": tag})


def problem(status: int, detail: str, **more: Any) -> func.HttpResponse:
    """An RFC 9457 problem document. It never repeats input from outside."""
    body = {"type": "about:blank", "title": _TITLES.get(status, "Error"), "status": status, "detail": detail, **more}
    headers = {503: {"Retry-After": "5"}, 401: {"WWW-Authenticate": "Bearer"}}.get(status, {})
    return _respond(body, status, "application/problem+json", headers)


def _respond(body: Any, status: int, kind: str, headers: dict[str, str]) -> func.HttpResponse:
    return func.HttpResponse(
        json.dumps(body, default=str), status_code=status, mimetype=kind, headers=_HEADERS | headers
    )


def answering[**P](
    handler: Callable[Concatenate[func.HttpRequest, P], Awaitable[func.HttpResponse]],
) -> Callable[Concatenate[func.HttpRequest, P], Awaitable[func.HttpResponse]]:
    """Turns every error into its problem document, unexpected ones included."""

    @functools.wraps(handler)
    async def run(request: func.HttpRequest, /, *arguments: P.args, **named: P.kwargs) -> func.HttpResponse:
        try:
            return await handler(request, *arguments, **named)
        except errors.AccessError as error:
            await auth.record_refusal(request, error)
            return problem(error.status, str(error))
        except BadRequestError as error:
            return problem(error.status, str(error))
        except errors.AlertError as error:
            return problem(error.status, str(error))
        except (errors.UnknownPlanError, errors.UnknownRunError) as error:
            return problem(404, str(error))
        except errors.PlanBusyError as error:
            return problem(409, str(error), run_id=error.run_id)
        except errors.RefusedError as error:
            return problem(409, str(error), **error.facts)
        except (
            errors.DirectoryUnavailableError,
            errors.StorageUnavailableError,
            errors.StateConflictError,
            errors.SettingError,
        ) as error:
            _log.exception("%s %s", FAILED, error)
            return problem(503, str(error))
        except AzureError as error:
            _log.exception("%s Azure did not answer", FAILED)
            return problem(503, f"Azure did not answer ({type(error).__name__}).")
        except Exception as error:  # noqa: BLE001 (503, so that an action group resends its alert: it gives up on 500)
            _log.exception("%s unexpected error", FAILED)
            return problem(503, f"Unexpected error ({type(error).__name__}). See Coldsite's log.")

    return run


def json_only(request: func.HttpRequest) -> None:
    """A body that declares another media type is not parsed as JSON."""
    kind = next((value for name, value in dict(request.headers).items() if name.lower() == "content-type"), "")
    bare = kind.partition(";")[0].strip().lower()
    if request.get_body() and bare and bare != "application/json" and not bare.endswith("+json"):
        raise BadRequestError("The Content-Type is not JSON. Send application/json.", 415)


def body_of(request: func.HttpRequest) -> dict[str, Any]:
    """The request's JSON object; an empty body is an empty object."""
    raw = request.get_body()
    if len(raw) > MAX_BODY:
        raise BadRequestError(f"The body is longer than {MAX_BODY // 1024} KiB.", 413)
    if not raw.strip():
        return {}
    json_only(request)
    try:
        data = read_json(raw)
    except OverLimitError as error:
        raise BadRequestError(f"The body is {error}.", 422) from error
    except ValueError as error:
        raise BadRequestError("The body is not JSON.") from error
    if not isinstance(data, dict):
        raise BadRequestError("The body is not a JSON object.", 422)
    return data


def plan_of(request: func.HttpRequest) -> RecoveryPlan:
    plan = PLANS.get(request.route_params.get("plan", ""))
    if plan is None:
        raise errors.UnknownPlanError
    return plan


def read_request[T: Strict](model: type[T], req: func.HttpRequest) -> T:
    try:
        return model.model_validate(body_of(req))
    except ValidationError as error:
        problems = "; ".join(_wrong(dict(problem)) for problem in error.errors(include_input=False))
        raise BadRequestError(problems, 422) from None


def _wrong(error: dict[str, Any]) -> str:
    """A field of the request and its problem."""
    message = str(error["msg"]).removeprefix("Value error, ")
    return f"{'.'.join(map(str, error['loc'])) or 'body'}: {message}"
