"""HTTP as every trigger speaks it: JSON bodies in, JSON or RFC 9457 problem documents out."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import azure.functions as func
from azure.core.exceptions import AzureError

from shared import errors, settings
from shared.plan import RecoveryPlan
from shared.plan_file import load_plans

MAX_BODY = 64 * 1024
_log = logging.getLogger("coldsite.http")

PLANS: dict[str, RecoveryPlan] = load_plans(settings.plans_folder())
"""Every deployed plan by name. A plan that cannot be used stops the start."""

_TITLES = {
    400: "The request cannot be read",
    404: "Not found",
    409: "Not possible now",
    413: "Too large",
    422: "The request makes no sense here",
    503: "Try again",
}


class BadRequestError(errors.ColdsiteError):
    """The request is not what the route takes; ``status`` is 400, 413 or 422."""

    def __init__(self, message: str, status: int = 400) -> None:
        self.status = status
        super().__init__(message)


def answer(body: Any, status: int = 200, **headers: str) -> func.HttpResponse:
    return func.HttpResponse(
        json.dumps(body, default=str), status_code=status, mimetype="application/json", headers=headers
    )


def problem(status: int, detail: str, **more: Any) -> func.HttpResponse:
    """An RFC 9457 problem document. What came from outside is never repeated in it."""
    body = {"type": "about:blank", "title": _TITLES.get(status, "Error"), "status": status, "detail": detail, **more}
    headers = {"Retry-After": "5"} if status == 503 else {}
    return func.HttpResponse(
        json.dumps(body, default=str), status_code=status, mimetype="application/problem+json", headers=headers
    )


type Handler = Callable[..., Awaitable[func.HttpResponse]]


def answering(handler: Handler) -> Handler:
    """Turns every foreseen error into its problem document."""

    @functools.wraps(handler)
    async def run(*arguments: Any, **named: Any) -> func.HttpResponse:
        try:
            return await handler(*arguments, **named)
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
        except (errors.StorageUnavailableError, errors.StateConflictError) as error:
            return problem(503, str(error))
        except errors.SettingError as error:
            _log.exception("A setting is missing")
            return problem(503, str(error))
        except AzureError as error:
            _log.exception("Azure did not answer")
            return problem(503, f"Azure did not answer ({type(error).__name__}).")

    return run


def body_of(request: func.HttpRequest) -> dict[str, Any]:
    """The request's JSON object; an empty body is an empty object."""
    raw = request.get_body()
    if len(raw) > MAX_BODY:
        raise BadRequestError(f"The body is longer than {MAX_BODY // 1024} KiB.", 413)
    if not raw.strip():
        return {}
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadRequestError("The body is not JSON.") from error
    if not isinstance(data, dict):
        raise BadRequestError("The body is not a JSON object.", 422)
    return data


def plan_of(request: func.HttpRequest) -> RecoveryPlan:
    plan = PLANS.get(request.route_params.get("plan", ""))
    if plan is None:
        raise errors.UnknownPlanError
    return plan


def person_of(request: func.HttpRequest) -> str:
    """Who is asking, as Easy Auth says; a function key names nobody."""
    return settings.signed_in_person(dict(request.headers)) or "somebody with the function key"
