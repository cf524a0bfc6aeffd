"""Sign-in: which callers are accepted, and with which role: real tokens, forged headers, recorded refusals."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from lab.cloud.identity import API
from tests.app.api import Answer, Api
from tests.app.test_api import NOBODY, path_of
from tests.app.test_index import ROUTES

PEOPLE = {
    "ada": ["operator", "approver"],
    "ben": ["approver"],
    "olga": ["operator"],
    "vic": ["viewer"],
    "nobody": [],
}
CALLS = [(method, path_of(route)) for name, (method, route) in ROUTES.items() if name != "alerts"]
READING = [call for call in CALLS if call[0] == "GET" and "/screens/" not in call[1]]
"""A picture of a machine's screen may show what is on it, so it needs the role of those who may act."""
STEERING = {
    "approve": "approver",
    "reject": "approver",
    "proceed": "operator",
    "retry": "operator",
    "abort": "operator",
    "commit": "operator",
    "note": "operator",
}
ACTING = {f"/api/plans/{{}}/{what}": "operator" for what in ("failover", "drill", "failback", "pause", "settle")} | {
    f"/api/runs/{{}}/{what}": role for what, role in STEERING.items()
}
"""The routes that change state, with a placeholder for a name that exists or not, and the role that each needs."""
SPELLINGS = ["X-MS-CLIENT-PRINCIPAL", "x-ms-client-principal", "X-Ms-Client-Principal", "X_MS_CLIENT_PRINCIPAL"]
ADA = "4d4c1f4e-0000-0000-0000-00000000ada0"
PAUSE = {"for": "1h", "reason": "Windows updates"}


def principal(*claims: tuple[str, str], kind: str = "aad") -> str:
    """The platform's header, forged."""
    principal = {
        "auth_typ": kind,
        "claims": [{"typ": name, "val": value} for name, value in claims],
        "role_typ": "roles",
    }
    return base64.b64encode(json.dumps(principal).encode()).decode()


ROLES = [("roles", role) for role in ("viewer", "operator", "approver")]
FORGED = principal(("oid", ADA), ("preferred_username", "ada@contoso.example"), *ROLES)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(people=PEOPLE) as api:
        yield api


@pytest.fixture(scope="module")
def run_id(api: Api) -> str:
    """An existing run: a drill that Ada started, and that has ended."""
    with api.started("drill") as run_id:
        pass
    return run_id


def without_date(answer: Answer) -> tuple[int, list[tuple[str, str]], bytes]:
    return answer.status, sorted(pair for pair in answer.headers.items() if pair[0] != "Date"), answer.body


# The record of refusals. This comes first, since only 30 refusals an hour are kept.


def test_a_refusal_is_told_in_the_history_and_in_the_log(api: Api) -> None:
    api.ask_as("vic", "POST", "/api/plans/contoso/pause?code=secret", PAUSE).problem(403)
    refusal = api.refusals()[0]["text"]
    assert refusal.startswith("403 POST /api/plans/contoso/pause: vic@contoso.example (")
    assert refusal.endswith("lacks the role operator; has viewer")
    assert "Refused POST /api/plans/contoso/pause (403): vic@contoso.example (" in api.log()
    assert "code=secret" not in api.log() + refusal


# Unauthenticated calls


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_refuses_who_shows_no_token(api: Api, method: str, path: str) -> None:
    answer = api.ask(method, path, key=None)
    assert (answer.status, answer.body) == (401, b"")


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_refuses_a_forged_principal_without_a_token(api: Api, method: str, path: str, spelling: str) -> None:
    assert api.ask(method, path, key=None, headers={spelling: FORGED}).status == 401


@pytest.mark.parametrize("key", ["host", "master", "own"])
@pytest.mark.parametrize(("method", "path"), CALLS)
def test_refuses_every_key_without_a_token(api: Api, method: str, path: str, key: str) -> None:
    functions = api.lab.functions
    name = next(name for name, (verb, route) in ROUTES.items() if (verb, path_of(route)) == (method, path))
    shown = {"host": functions.function_key, "master": functions.master_key, "own": functions.keys[name]}[key]
    assert api.ask(method, path, key=shown).status == 401
    assert api.ask(method, f"{path}?code={shown}", key=None).status == 401


def test_keys_and_a_viewers_token_together_are_no_more_than_a_viewer(api: Api) -> None:
    key = api.lab.functions.master_key
    api.ask_as("vic", "POST", "/api/plans/contoso/pause", PAUSE, x_functions_key=key).problem(403)


CLAIMS = {"oid": ADA, "preferred_username": "ada@contoso.example", "roles": ["operator", "approver"]}
BAD_TOKENS: dict[str, Callable[[Api], str]] = {
    "stale": lambda api: api.lab.identity.issue(API, CLAIMS, age=2 * 86400),
    "for Azure": lambda api: api.lab.identity.issue("https://management.azure.com", CLAIMS),
    "for alerts": lambda api: api.lab.identity.issue(f"api://{API}", CLAIMS),
    "Azure Monitor's": lambda api: api.lab.identity.webhook_token(),
    "signed by a forger": lambda api: api.lab.identity.issue(
        API, CLAIMS, key=rsa.generate_private_key(public_exponent=65537, key_size=2048)
    ),
    "without its signature": lambda api: api.lab.identity.issue(API, CLAIMS).rpartition(".")[0] + ".",
    "no token": lambda api: "garbage",
    "empty": lambda api: "",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_refuses_a_token_that_is_not_good(api: Api, kind: str) -> None:
    bearer = {"Authorization": f"Bearer {BAD_TOKENS[kind](api)}"}
    assert {api.ask(method, path, key=None, headers=bearer).status for method, path in CALLS} == {401}


def test_the_same_claims_in_a_good_token_open_the_door(api: Api) -> None:
    """So that the test above refuses each token for its own fault."""
    bearer = {"Authorization": f"Bearer {api.lab.identity.issue(API, CLAIMS)}"}
    assert api.ask("GET", "/api/plans", key=None, headers=bearer).status == 200


def test_refuses_a_good_token_under_another_scheme(api: Api) -> None:
    basic = {"Authorization": f"Basic {api.lab.identity.issue(API, CLAIMS)}"}
    assert api.ask("GET", "/api/plans", key=None, headers=basic).status == 401


def test_refuses_a_token_that_names_no_person(api: Api) -> None:
    token = api.lab.identity.issue(API, {"preferred_username": "ada@contoso.example", "roles": ["operator"]})
    answer = api.ask("GET", "/api/plans", key=None, headers={"Authorization": f"Bearer {token}"})
    assert answer.problem(401)["title"] == "Authentication required"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


# The app validates the platform's header


BAD_PRINCIPALS = {
    "none": "",
    "no base64": "not base64!",
    "no JSON": base64.b64encode(b"{oops").decode(),
    "no object": base64.b64encode(b"[]").decode(),
    "claims that are no list": base64.b64encode(b'{"auth_typ": "aad", "claims": {"oid": "x"}}').decode(),
    "very deep": base64.b64encode(b"[" * 45_000).decode(),
    "very long": principal(("oid", ADA), ("name", "x" * 70_000), *ROLES),
    "another provider's": principal(("oid", ADA), *ROLES, kind="google"),
    "no object id": principal(("preferred_username", "ada@contoso.example"), *ROLES),
    "two object ids": principal(("oid", ADA), ("oid", ADA.replace("a", "b")), *ROLES),
}


@pytest.mark.parametrize("kind", BAD_PRINCIPALS)
def test_the_app_refuses_a_principal_that_is_not_entras(api: Api, kind: str) -> None:
    shown = {"X-MS-CLIENT-PRINCIPAL": BAD_PRINCIPALS[kind]}
    assert (
        "Sign-in with Microsoft Entra is required." in api.past_the_platform("list_plans", shown).problem(401)["detail"]
    )


LONG = "http://schemas.microsoft.com/"


@pytest.mark.parametrize(
    "shown",
    [
        principal(("oid", ADA), ("roles", "operator")),
        principal(
            (f"{LONG}identity/claims/objectidentifier", ADA), (f"{LONG}ws/2008/06/identity/claims/role", "Operator")
        ),
        principal(("oid", ADA), ("roles", "operator"), kind="AzureActiveDirectory"),
    ],
    ids=["short", "long", "old provider name"],
)
def test_the_app_reads_a_principal_in_each_of_its_spellings(api: Api, shown: str) -> None:
    """One role, so that the answer shows that it was read: an operator may pause and may not approve."""
    header = {"x-ms-client-principal": shown}
    assert api.past_the_platform("list_plans", header).status == 200
    assert api.past_the_platform("pause", header, {}, plan="contoso").status == 422


def test_a_role_that_coldsite_does_not_know_opens_nothing(api: Api) -> None:
    shown = principal(("oid", ADA), ("roles", "admin"), ("roles", "operators"), ("groups", "operator"))
    problem = api.past_the_platform("list_plans", {"X-MS-CLIENT-PRINCIPAL": shown}).problem(403)
    assert "The role viewer" in problem["detail"]


# Roles


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("place", ACTING)
def test_only_the_right_role_acts_and_others_are_told_which_they_lack(api: Api, place: str, person: str) -> None:
    """An accepted caller learns that there is no such plan or run, so nothing starts."""
    answer = api.ask_as(person, "POST", place.format(NOBODY), {"reason": "x"})
    if ACTING[place] in PEOPLE[person]:
        answer.problem(404)
    else:
        assert f"The role {ACTING[place]} is required." in answer.problem(403)["detail"]


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize(("method", "path"), READING)
def test_everybody_with_a_role_may_read(api: Api, method: str, path: str, person: str) -> None:
    answer = api.ask_as(person, method, path)
    if PEOPLE[person]:
        assert answer.status == (404 if NOBODY in path else 200)
    else:
        assert "The role viewer is required." in answer.problem(403)["detail"]


def test_a_viewer_reads_a_run_and_sees_who_started_it(api: Api, run_id: str) -> None:
    run = api.ask_as("vic", "GET", f"/api/runs/{run_id}").json
    assert (run["run_id"], run["person"]) == (run_id, "ada@contoso.example")


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("place", ACTING)
def test_a_viewer_with_a_forged_principal_remains_a_viewer(api: Api, place: str, spelling: str) -> None:
    headers = api.lab.credentials("vic") | {spelling: FORGED, "X-MS-CLIENT-PRINCIPAL-ID": ADA}
    problem = api.ask("POST", place.format("contoso"), PAUSE, None, headers).problem(403)
    assert f"The role {ACTING[place]} is required." in problem["detail"]
    assert api.ask("GET", "/api/plans", key=None, headers=headers).status == 200


@pytest.mark.parametrize("place", ACTING)
def test_a_refusal_does_not_tell_what_exists(api: Api, run_id: str, place: str) -> None:
    """With an invalid body too: a caller without permission learns nothing about its errors."""
    names = ["contoso", "other"] if "plans" in place else [run_id, NOBODY, "x"]
    bodies: list[object] = [PAUSE, b"{oops"]
    answers = [api.ask_as("vic", "POST", place.format(name), body) for name in names for body in bodies]
    assert {answer.status for answer in answers} == {403}
    assert [without_date(answer) for answer in answers] == [without_date(answers[0])] * len(answers)


@pytest.mark.parametrize(
    ("place", "known"), [("/api/plans/{}", "contoso"), ("/api/runs?plan={}", "contoso"), ("/api/runs/{}", None)]
)
def test_who_has_no_role_does_not_learn_what_exists(api: Api, run_id: str, place: str, known: str | None) -> None:
    exists, missing = (api.ask_as("nobody", "GET", place.format(name)) for name in (known or run_id, NOBODY))
    assert exists.status == 403
    assert without_date(exists) == without_date(missing)


def test_an_action_that_does_not_exist_is_no_hint_either(api: Api, run_id: str) -> None:
    answers = [api.ask_as("vic", "POST", f"/api/runs/{name}/explode") for name in (run_id, NOBODY)]
    assert [answer.status for answer in answers] == [403, 403]
    assert without_date(answers[0]) == without_date(answers[1])


# Another site's page, with the browser's cookie


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://{host}.evil.example",
        "https://{host}@evil.example",
        "http://[",
        "https://",
    ],
)
def test_refuses_another_sites_page_even_with_a_good_token(api: Api, origin: str) -> None:
    shown = origin.format(host=api.lab.functions.url.removeprefix("http://"))
    problem = api.ask_as("ada", "POST", "/api/plans/contoso/pause", PAUSE, Origin=shown).problem(403)
    assert "pages of other sites" in problem["detail"]
    api.ask_as("ada", "GET", "/api/plans", Origin=shown).problem(403)
    assert api.plan()["paused_until"] is None


def test_the_apps_own_page_passes(api: Api) -> None:
    assert api.ask_as("ada", "GET", "/api/plans", Origin=api.lab.functions.url).status == 200


# Who did what


def test_the_story_names_who_paused(api: Api) -> None:
    """A forged name beside a valid token changes nothing."""
    forged = {"X_MS_CLIENT_PRINCIPAL_NAME": "ben@contoso.example"}
    paused = api.ask_as("olga", "POST", "/api/plans/contoso/pause", PAUSE, **forged)
    ended = api.ask_as("ada", "POST", "/api/plans/contoso/pause", PAUSE | {"for": "0s"})
    assert (paused.status, ended.status) == (200, 200)
    assert "olga@contoso.example" in paused.json["pause_reason"]
    newest, before = api.story()[:2]
    assert ("ended by ada@contoso.example (" in newest, "by olga@contoso.example (" in before) == (True, True)


# The flood comes last: it uses up the hour's refusals.


def test_whoever_knocks_without_end_does_not_fill_the_history(api: Api) -> None:
    before = api.log().count("Refused ")
    for _ in range(40):
        api.ask_as("vic", "POST", "/api/plans/contoso/drill").problem(403)
    assert api.log().count("Refused ") == before + 40
    moments = sorted(row["at"] for row in api.refusals())
    assert len(moments) <= 30


def test_nothing_of_all_this_has_started_a_run_or_paused_the_plan(api: Api, run_id: str) -> None:
    plan: dict[str, Any] = api.plan()
    assert (plan["active_run"], plan["paused_until"]) == (None, None)
    assert [run["run_id"] for run in api.runs()] == [run_id]
