"""GET /api/openapi.json: the HTTP API, described by the models that validate its requests and build its responses."""

from __future__ import annotations

from functools import cache
from typing import Any, get_args

import azure.durable_functions as df
import azure.functions as func
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from functions.http.auth import Caller
from functions.http.endpoint import OPERATIONS, ApiOperation, endpoint
from functions.http.responses import answer
from shared.models.ids import PLAN_NAME, RUN_ID, Kind
from shared.models.plan_fields import WORKLOAD_NAME

bp = df.Blueprint()
VERSION = "1.0.0"


_REFUSALS = {
    400: "The body is not JSON.",
    401: "Authentication required.",
    403: "The caller lacks the required role.",
    404: "No such plan or run.",
    409: "The operation would be unsafe now, or another run holds the plan.",
    413: "The body is too long.",
    415: "The Content-Type is not JSON.",
    422: "The request is invalid; the detail names the field.",
    503: "The history or Azure is unavailable; try again.",
}
_PARAMETERS: dict[str, dict[str, Any]] = {
    "plan": {"type": "string", "pattern": f"^{PLAN_NAME}$", "maxLength": 40},
    "run_id": {"type": "string", "pattern": f"^{RUN_ID}$"},
    "workload": {"type": "string", "pattern": WORKLOAD_NAME},
}
_QUERY: dict[str, dict[str, dict[str, Any]]] = {
    "/runs": {
        "plan": {"type": "string", "description": "Only runs of this plan."},
        "kind": {"enum": list(get_args(Kind)), "description": "Only runs of this kind."},
        "limit": {"type": "integer", "minimum": 1, "maximum": 200, "default": 50},
        "before": {"type": "string", "description": "A run id: only runs older than it."},
    },
}
"""Query parameters, by path."""


@endpoint(bp, "get", "/openapi.json", "This document", role="viewer", gives=dict)
async def openapi(caller: Caller, req: func.HttpRequest) -> func.HttpResponse:
    return answer(document())


@cache
def document() -> dict[str, Any]:
    """The OpenAPI 3.1 document."""
    takes = {operation.takes for operation in OPERATIONS if operation.takes}
    answers = [gives for operation in OPERATIONS for gives in (operation.gives, operation.rehearses) if gives]
    gives = {model for given in answers for model in _models(given)}
    _, schemas = models_json_schema(
        [
            *((model, "validation") for model in sorted(takes, key=lambda model: model.__name__)),
            *((model, "serialization") for model in sorted(gives, key=lambda model: model.__name__)),
        ],
        ref_template="#/components/schemas/{model}",
    )
    schemas["$defs"]["Problem"] = {
        "type": "object",
        "description": "RFC 9457. ``detail`` names the problem and the remedy.",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
        },
        "required": ["type", "title", "status", "detail"],
    }
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Coldsite",
            "version": VERSION,
            "description": "Disaster recovery for sites whose machines in Azure do not exist until they are needed. "
            "GET never acts. Roles: viewers read, operators start and control runs, approvers approve and reject.",
        },
        "servers": [{"url": "/api"}],
        "security": [{"key": []}, {"person": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "person": {"type": "http", "scheme": "bearer", "description": "A token of Microsoft Entra."},
            },
        },
    }


_DESCRIPTIONS = {
    200: "Done.",
    202: "Accepted; follow the run.",
    302: "Temporarily available at the address in Location.",
}


def _described(operation: ApiOperation) -> dict[str, Any]:
    names = [name for name in _PARAMETERS if f"{{{name}}}" in operation.path]
    parameters = [{"name": n, "in": "path", "required": True, "schema": _PARAMETERS[n]} for n in names]
    parameters += [
        {"name": n, "in": "query", "required": False, "schema": s} for n, s in _QUERY.get(operation.path, {}).items()
    ]
    if operation.rehearses:
        schema = {"type": "boolean", "default": False, "description": "Check and forecast; start and store nothing."}
        parameters.append({"name": "what_if", "in": "query", "required": False, "schema": schema})
    described: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": f"{operation.method}{operation.path.replace('/', '_').replace('{', '').replace('}', '')}",
        "parameters": parameters,
        "responses": {
            str(operation.status): {
                "description": _DESCRIPTIONS[operation.status],
                **({"content": {operation.media: {"schema": _schema(operation.gives)}}} if operation.gives else {}),
            },
            **(_forecast(operation) if operation.rehearses and operation.status != 200 else {}),
            **{str(status): _refusal(status) for status in sorted({401, 403, 503, *operation.refuses})},
        },
    }
    if operation.role is None:
        described["description"] = "Requires a function key, or Azure Monitor's token where one is configured."
    else:
        described["description"] = f"Requires the role {operation.role}, where sign-in is on."
    if operation.takes or operation.path == "/alerts":
        schema = (
            _schema(operation.takes) if operation.takes else {"type": "object", "description": "Common alert schema"}
        )
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _forecast(operation: ApiOperation) -> dict[str, Any]:
    """The answer to a rehearsal."""
    content = {"application/json": {"schema": _schema(operation.rehearses)}}
    return {"200": {"description": "A forecast; nothing was started.", "content": content}}


def _refusal(status: int) -> dict[str, Any]:
    described: dict[str, Any] = {"description": _REFUSALS[status]}
    if status != 401:  # The Functions host answers an unknown key itself, with an empty body.
        described["content"] = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return described


def _schema(gives: Any) -> dict[str, Any]:
    if isinstance(gives, dict):
        name, (model,) = next(iter(gives.items()))
        items = {"type": "array", "items": _schema(model)}
        return {"type": "object", "properties": {name: items}, "required": [name]}
    if gives in (dict, str):
        return {"type": "object" if gives is dict else "string"}
    return {"$ref": f"#/components/schemas/{gives.__name__}"}


def _models(gives: Any) -> list[type[BaseModel]]:
    """The models in an answer: one, a named list of one, or none."""
    if isinstance(gives, dict):
        return [model for (model,) in gives.values()]
    return [] if gives in (dict, str) else [gives]
