"""The functions of Bicep that ``infra/`` uses, each with the deployment's scope as its first argument.

Source: MicrosoftDocs/azure-docs:articles/azure-resource-manager/bicep/bicep-functions*.md
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.cloud.identity import TENANT
from lab.templates.unique import guid, unique_string


class Unknown(str):
    """Something that only Azure can know, such as an address that it has not given yet."""

    path: str

    def __new__(cls, path: str) -> Unknown:
        made = super().__new__(cls, f"<{path}>")
        made.path = path
        return made


def _subscription(scope: str) -> dict[str, str]:
    path = "/".join(scope.split("/")[:3])
    return {"id": path, "subscriptionId": path.split("/")[2]}


def _resource_group(scope: str, *place: str) -> Any:
    """Without arguments the group that is deployed to; with them, a scope for a module."""
    if not place:
        return {"id": scope, "name": scope.split("/")[4]}
    subscription = place[0] if len(place) > 1 else scope.split("/")[2]
    return f"/subscriptions/{subscription}/resourceGroups/{place[-1]}"


def _resource_id(scope: str, *parts: str) -> str:
    """Subscription and group may come first; then a type, then a name for each of its segments."""
    kind = next(number for number, part in enumerate(parts) if "/" in part)
    subscription, group = scope.split("/")[2], scope.split("/")[4] if len(scope.split("/")) > 4 else ""
    if kind == 2:
        subscription, group = parts[0], parts[1]
    elif kind == 1:
        group = parts[0]
    provider, *types = parts[kind].split("/")
    named = "/".join(f"{segment}/{name}" for segment, name in zip(types, parts[kind + 1 :], strict=True))
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{provider}/{named}"


class FailError(Exception):
    """The template itself refuses its parameters; the message is the template's own."""


def _fail(scope: str, message: str) -> Any:
    raise FailError(message)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "contains": lambda scope, whole, part: part in whole,
    "empty": lambda scope, value: not value,
    "environment": lambda scope: {
        "suffixes": {"storage": "core.windows.net"},
        "authentication": {"loginEndpoint": "https://login.microsoftonline.com/"},
    },
    "fail": _fail,
    "guid": lambda scope, *parts: guid(*parts),
    "last": lambda scope, values: values[-1],
    "length": lambda scope, values: len(values),
    "replace": lambda scope, text, old, new: str(text).replace(old, new),
    "resourceGroup": _resource_group,
    "resourceId": _resource_id,
    "split": lambda scope, text, mark: str(text).split(mark),
    "subscription": _subscription,
    "subscriptionResourceId": lambda scope, kind, name: f"{_subscription(scope)['id']}/providers/{kind}/{name}",
    "take": lambda scope, value, count: value[:count],
    "tenant": lambda scope: {"tenantId": TENANT},
    "startsWith": lambda scope, text, start: str(text).lower().startswith(str(start).lower()),
    "toObject": lambda scope, values, key, value: {key(item): value(item) for item in values},
    "toLower": lambda scope, text: str(text).lower(),
    "toUpper": lambda scope, text: str(text).upper(),
    "union": lambda scope, *objects: {key: value for part in objects for key, value in part.items()},
    "uniqueString": lambda scope, *parts: unique_string(*parts),
}
