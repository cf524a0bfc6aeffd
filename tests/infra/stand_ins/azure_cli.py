"""A stand-in for the Azure CLI: a directory and two subscriptions, kept in a file, for the hooks of infra/.

FAKE_AZURE names a folder: state.json (what is in Azure) and calls.jsonl (every call, with its body and exit status).
FAKE_AZ_FAIL lists the faults, separated by semicolons: ``N=kind`` for the N-th call, or ``text=kind`` for every call
whose words contain the text; ``text*M=kind`` only for the first M of those. Kinds: exit1, empty, login, 403, 404, 429.

It refuses what Microsoft Graph refuses: an object where a list is required, a client's permission that does not
exist, replacing an enabled permission. Azure may still refuse what passes here.
"""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(os.environ["FAKE_AZURE"])
STATE, CALLS = HERE / "state.json", HERE / "calls.jsonl"
ARGUMENTS = sys.argv[1:]
WORDS = " ".join(ARGUMENTS)
SCOPE_NEEDS = ("id", "value", "type", "adminConsentDescription", "adminConsentDisplayName")

state: dict[str, Any] = json.loads(STATE.read_text())
call: dict[str, Any] = {"argv": ARGUMENTS, "body": None, "exit": 0}


class EndError(Exception):
    """The call ends here, with a text for standard error and an exit status."""

    def __init__(self, text: str, status: int = 1) -> None:
        self.text = text
        self.status = status
        super().__init__(text)


def refuse(status: int, code: str, text: str) -> NoReturn:
    name = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 429: "Too Many Requests"}[status]
    raise EndError(f"{name}({json.dumps({'error': {'code': code, 'message': text}})})")


def option(*names: str, default: str = "") -> str:
    for at, word in enumerate(ARGUMENTS):
        if word in names:
            return ARGUMENTS[at + 1] if at + 1 < len(ARGUMENTS) else ""
    return default


def as_list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        refuse(400, "Request_BadRequest", f"Invalid value specified for property '{what}' of resource 'Application'.")
    return value


def body() -> Any:
    text = option("--body", "-b")
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8-sig")
    try:
        call["body"] = json.loads(text)
    except ValueError:
        refuse(400, "BadRequest", "Unable to read JSON request payload.")
    return call["body"]


def registration(key: str) -> dict[str, Any]:
    for app in state["apps"]:
        if key in (app["id"], app["appId"]):
            return app
    refuse(404, "Request_ResourceNotFound", f"Resource '{key}' does not exist.")


def change_registration(app: dict[str, Any], change: dict[str, Any]) -> None:
    if "identifierUris" in change:
        app["identifierUris"] = as_list(change["identifierUris"], "identifierUris")
    if "appRoles" in change:
        app["appRoles"] = as_list(change["appRoles"], "appRoles")
    if "api" not in change:
        return
    api = change["api"]
    if "oauth2PermissionScopes" in api:
        scopes = as_list(api["oauth2PermissionScopes"], "api.oauth2PermissionScopes")
        if not all(isinstance(scope, dict) and all(scope.get(key) for key in SCOPE_NEEDS) for scope in scopes):
            refuse(400, "Request_BadRequest", "A permission scope lacks a property.")
        for key in ("id", "value"):
            if len({scope[key] for scope in scopes}) < len(scopes):
                refuse(400, "Request_BadRequest", "Request contains a property with duplicate values.")
        kept = {scope["id"] for scope in scopes}
        if any(old["isEnabled"] and old["id"] not in kept for old in app["api"]["oauth2PermissionScopes"]):
            refuse(400, "CannotDeleteOrUpdateEnabledEntitlement", "Permission cannot be deleted unless disabled first.")
        app["api"]["oauth2PermissionScopes"] = scopes
    if "preAuthorizedApplications" in api:
        known = {scope["id"] for scope in app["api"]["oauth2PermissionScopes"]}
        clients = as_list(api["preAuthorizedApplications"], "api.preAuthorizedApplications")
        if any(set(as_list(client["delegatedPermissionIds"], "delegatedPermissionIds")) - known for client in clients):
            refuse(400, "InvalidPermissionId", "A permission is not one of this application's.")
        app["api"]["preAuthorizedApplications"] = clients
    app["api"]["requestedAccessTokenVersion"] = api.get("requestedAccessTokenVersion")


def rest() -> Any:
    method, path = option("--method", "-m", default="get").upper(), option("--uri", "-u").split("/v1.0/")[1]
    kind, key, *more = path.split("/")
    if (kind, method) == ("applications", "PATCH"):
        return change_registration(registration(key), body())
    if kind == "servicePrincipals" and more == ["appRoleAssignedTo"]:
        if key not in [principal["id"] for principal in state["sps"]]:
            refuse(404, "Request_ResourceNotFound", f"Resource '{key}' does not exist.")
        if method == "GET":
            return {"value": [assignment for assignment in state["assignments"] if assignment["resourceId"] == key]}
        wanted = body()
        if set(wanted) != {"principalId", "resourceId", "appRoleId"} or not all(wanted.values()):
            refuse(400, "Request_BadRequest", "One or more properties are missing.")
        if wanted in state["assignments"]:
            refuse(400, "Request_BadRequest", "Permission being assigned already exists on the object")
        state["assignments"].append(wanted)
        return wanted
    raise EndError(f"the stand-in knows no {method} {path}", 2)


def account() -> Any:
    current = state["account"]
    if ARGUMENTS[1] == "get-access-token":
        if not state.get("token"):
            raise EndError("AADSTS501051: Application is not assigned to a role for the application.")
        sys.stderr.write(state.get("warns", ""))
        return {"accessToken": state["token"], "scope": option("--scope")}
    wanted = option("--subscription", default=current["current"])
    if wanted not in state["subscriptions"]:
        raise EndError(f"Subscription '{wanted}' not found. Check the spelling and casing and try again.")
    tenant = state["subscriptions"][wanted].get("tenant", current["tenant"])
    return {"id": wanted, "tenantId": tenant, "user": current["user"]}


def directory() -> Any:
    match ARGUMENTS[1:4]:
        case ["signed-in-user", "show", *_]:
            if state["account"]["user"]["type"] != "user":
                refuse(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
            return {"id": state["me"]}
        case ["app", "owner", "list"]:
            return [{"id": owner} for owner in state["owners"].get(registration(option("--id"))["id"], [])]
        case ["app", "owner", "add"]:
            owners = state["owners"].setdefault(registration(option("--id"))["id"], [])
            return owners.append(option("--owner-object-id"))
        case ["app", "list", *_]:
            begins = option("--display-name").lower()
            return [app for app in state["apps"] if app["displayName"].lower().startswith(begins)]
        case ["app", "show", *_]:
            return registration(option("--id"))
        case ["app", "create", *_]:
            return new_registration()
        case ["sp", "list", *_]:
            wanted = option("--filter").split("'")[1]
            return [principal for principal in state["sps"] if principal["appId"] == wanted]
        case ["sp", "show", *_]:
            return {"id": f"principal-of-{option('--id')}", "appId": option("--id")}
        case ["sp", "create", *_]:
            made = {"id": str(uuid.uuid4()), "appId": option("--id"), "appRoleAssignmentRequired": False}
            state["sps"].append(made)
            return made
        case ["sp", "update", *_] if option("--set") == "appRoleAssignmentRequired=true":
            next(principal for principal in state["sps"] if principal["id"] == option("--id"))[
                "appRoleAssignmentRequired"
            ] = True
            return None
    raise EndError(f"the stand-in knows no: az {WORDS}", 2)


def new_registration() -> dict[str, Any]:
    app = {
        "id": str(uuid.uuid4()),
        "appId": str(uuid.uuid4()),
        "displayName": option("--display-name"),
        "appRoles": json.loads(Path(option("--app-roles")[1:]).read_text()),
        "identifierUris": [],
        "api": {"oauth2PermissionScopes": [], "preAuthorizedApplications": [], "requestedAccessTokenVersion": None},
    }
    state["apps"].append(app)
    if state["account"]["user"]["type"] == "user":
        state["owners"][app["id"]] = [state["me"]]
    return app


def traffic_manager() -> Any:
    subscription = option("--subscription", default=state["account"]["current"])
    profiles = state["subscriptions"].get(subscription, {}).get("profiles", [])
    if ARGUMENTS[2:4] == ["profile", "list"]:
        return profiles
    group, name = option("--resource-group", "-g").lower(), option("--name", "-n").lower()
    for profile in profiles:
        if (profile["resourceGroup"].lower(), profile["name"].lower()) == (group, name):
            return profile
    raise EndError(f"(ResourceNotFound) The Resource '{name}' under resource group '{group}' was not found.", 3)


def mishap() -> None:
    before = [json.loads(line)["argv"] for line in CALLS.read_text().splitlines()] if CALLS.exists() else []
    for failure in filter(None, os.environ.get("FAKE_AZ_FAIL", "").split(";")):
        where, kind = failure.rsplit("=", 1)
        where, _, times = where.partition("*")
        if where.isdigit():
            hit = int(where) == len(before) + 1
        else:
            hit = where in WORDS and (not times or sum(where in " ".join(argv) for argv in before) < int(times))
        if hit:
            fail(kind)


def fail(kind: str) -> None:
    match kind:
        case "empty":
            raise EndError("", 0)
        case "404":
            refuse(404, "Request_ResourceNotFound", "Resource 'x' does not exist.")
        case "403":
            refuse(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
        case "429":
            refuse(429, "TooManyRequests", "Too many requests.")
        case "login":
            raise EndError("Please run 'az login' to setup account.")
    raise EndError("something went wrong")


def answer() -> Any:
    mishap()
    match ARGUMENTS[:2]:
        case ["rest", *_]:
            return rest()
        case ["account", *_]:
            return account()
        case ["ad", *_]:
            return directory()
        case ["network", "traffic-manager"]:
            return traffic_manager()
    raise EndError(f"the stand-in knows no: az {WORDS}", 2)


try:
    found = answer()
    if found is not None:
        # Users may set another default format, so a script that reads JSON must request it.
        sys.stdout.write(json.dumps(found, indent=2) if option("--output", "-o") == "json" else "a table\n")
except EndError as end:
    call["exit"] = end.status
    if end.status:
        sys.stderr.write(f"ERROR: {end.text}\n")
finally:
    with CALLS.open("a") as log:
        log.write(json.dumps(call) + "\n")
    STATE.write_text(json.dumps(state))
sys.exit(call["exit"])
