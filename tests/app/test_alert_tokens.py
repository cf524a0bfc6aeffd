"""POST /api/alerts where Azure Monitor must send a token: which are accepted, and how the others are refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import ssl
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from lab.cloud.identity import API, APP, MONITOR, TENANT
from tests.app.api import Answer, Api

AUDIENCE = f"api://{API}"
ELSEWHERE = "00000000-0000-0000-0000-0000000000ff"
PEOPLE = {"ada": ["operator", "approver", "viewer"]}
CLAIMS = {"oid": MONITOR, "appid": MONITOR, "roles": ["ActionGroupsSecureWebhook"]}
V2 = {
    "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    "ver": "2.0",
    "azp": MONITOR,
    "appid": None,
}
NEEDED = "A valid token of this directory, issued for Coldsite, is required."


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(None, "housekeeping", people=PEOPLE) as api:
        yield api


def send(api: Api, token: str, body: bytes | None = None) -> Answer:
    """An alert that would start a run if accepted, unless another is given."""
    raw = body or api.alert("traffic-manager-fired", "refused")
    return api.ask("POST", "/api/alerts", raw, None, {"Authorization": f"Bearer {token}"})


def noted(api: Api) -> bytes:
    """A new alert of a kind that starts no run."""
    return api.alert("resource-health", uuid.uuid4().hex)


# Accepted


def test_azure_monitors_token_opens_alerts(api: Api) -> None:
    assert send(api, api.lab.identity.webhook_token(), noted(api)).status == 202


@pytest.mark.parametrize(
    "claims",
    [
        V2,
        {"iss": V2["iss"]},
        {"appid": None, "azp": MONITOR},
        {"roles": ["Other", "ActionGroupsSecureWebhook"]},
    ],
    ids=["v2", "v2's issuer", "azp for appid", "one role of two"],
)
def test_each_spelling_of_entra_opens_alerts(api: Api, claims: dict[str, Any]) -> None:
    assert send(api, api.lab.identity.webhook_token(**claims), noted(api)).status == 202


def test_a_clock_that_is_a_little_wrong_does_no_harm(api: Api) -> None:
    now = int(time.time())
    for claims in ({"nbf": now + 100, "iat": now + 100}, {"exp": now - 100}):
        assert send(api, api.lab.identity.webhook_token(**claims), noted(api)).status == 202


def test_the_scheme_may_be_written_in_any_case(api: Api) -> None:
    shown = {"Authorization": f"bEARER {api.lab.identity.webhook_token()}"}
    assert api.ask("POST", "/api/alerts", noted(api), None, shown).status == 202


# No token, or a key instead


def test_refuses_an_alert_without_a_token(api: Api) -> None:
    answer = api.ask("POST", "/api/alerts", api.alert("traffic-manager-fired", "refused"), None)
    assert answer.problem(401)["detail"] == NEEDED
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["own", "host", "master"])
def test_refuses_every_key_where_a_token_is_asked_for(api: Api, key: str) -> None:
    functions = api.lab.functions
    shown = {"own": functions.keys["alerts"], "host": functions.function_key, "master": functions.master_key}[key]
    body = api.alert("traffic-manager-fired", "refused")
    api.ask("POST", f"/api/alerts?code={shown}", body, None).problem(401)
    api.ask("POST", "/api/alerts", body, shown).problem(401)
    api.ask("POST", "/api/alerts", body, None, {"Authorization": f"Bearer {shown}"}).problem(401)


@pytest.mark.parametrize("scheme", ["Basic", "", "Bearer Bearer"])
def test_refuses_a_good_token_under_another_scheme(api: Api, scheme: str) -> None:
    shown = {"Authorization": f"{scheme} {api.lab.identity.webhook_token()}".strip()}
    api.ask("POST", "/api/alerts", api.alert("traffic-manager-fired", "refused"), None, shown).problem(401)


# Tokens that are not good


@cache
def forgers_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def kid(api: Api) -> str:
    found: str = jwt.get_unverified_header(api.lab.identity.webhook_token())["kid"]
    return found


def claims_of(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(api.lab.identity.webhook_token(), options={"verify_signature": False})
    return found


def public_key(api: Api) -> bytes:
    """The directory's public key in PEM."""
    trusted = ssl.create_default_context(cafile=str(api.lab.ca_bundle))
    with urllib.request.urlopen(f"{api.lab.front.url}/{TENANT}/discovery/v2.0/keys", context=trusted) as response:
        key: Any = RSAAlgorithm.from_jwk(json.load(response)["keys"][0])
    written: bytes = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return written


def part(data: bytes | dict[str, Any]) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def by_hand(api: Api, algorithm: str, signature: Callable[[bytes], bytes] = lambda signed: b"") -> str:
    """A token that no library would create, with the directory's own ``kid`` and Azure Monitor's claims."""
    signed = f"{part({'alg': algorithm, 'typ': 'JWT', 'kid': kid(api)})}.{part(claims_of(api))}"
    return f"{signed}.{part(signature(signed.encode()))}"


def with_public_key_as_secret(api: Api) -> str:
    secret = public_key(api)
    return by_hand(api, "HS256", lambda signed: hmac.new(secret, signed, hashlib.sha256).digest())


def by_forger(api: Api, **header: Any) -> str:
    return jwt.encode(claims_of(api), forgers_key(), algorithm="RS256", headers=header)


def with_its_own_key(api: Api) -> str:
    own = RSAAlgorithm.to_jwk(forgers_key().public_key(), as_dict=True)
    return by_forger(api, kid="forger", jwk=own | {"kid": "forger"})


def with_changed_claims(api: Api) -> str:
    header, _, signature = api.lab.identity.webhook_token(roles=[]).split(".")
    return f"{header}.{part(claims_of(api))}.{signature}"


BAD_TOKENS: dict[str, Callable[[Api], str]] = {
    "stale": lambda api: api.lab.identity.issue(AUDIENCE, CLAIMS, age=2 * 86400),
    "not yet valid": lambda api: api.lab.identity.webhook_token(nbf=int(time.time()) + 3600),
    "for Azure": lambda api: api.lab.identity.issue("https://management.azure.com", CLAIMS),
    "for people": lambda api: api.lab.identity.issue(API, CLAIMS),
    "for an address like ours": lambda api: api.lab.identity.issue(f"{AUDIENCE}/", CLAIMS),
    "of another directory": lambda api: api.lab.identity.webhook_token(
        iss=f"https://sts.windows.net/{ELSEWHERE}/", tid=ELSEWHERE
    ),
    "of another directory, v2": lambda api: api.lab.identity.webhook_token(
        **V2 | {"iss": f"https://login.microsoftonline.com/{ELSEWHERE}/v2.0", "tid": ELSEWHERE}
    ),
    "of every directory": lambda api: api.lab.identity.webhook_token(
        iss="https://login.microsoftonline.com/common/v2.0"
    ),
    "of an issuer that begins alike": lambda api: api.lab.identity.webhook_token(
        iss=f"https://sts.windows.net/{TENANT}/x"
    ),
    "signed by a forger": lambda api: api.lab.identity.issue(AUDIENCE, CLAIMS, key=forgers_key()),
    "of an unknown key": lambda api: by_forger(api, kid="forger"),
    "of no key": lambda api: by_forger(api),
    "that brings its key": with_its_own_key,
    "that says where its key is": lambda api: by_forger(api, kid="forger", jku="https://evil.example/keys"),
    "that needs no signature": lambda api: by_hand(api, "none"),
    "that needs no Signature": lambda api: by_hand(api, "None"),
    "without its signature": lambda api: by_hand(api, "RS256"),
    "with the public key as secret": with_public_key_as_secret,
    "with changed claims": with_changed_claims,
    "garbage": lambda api: "garbage",
    "three dots": lambda api: "...",
    "of no text": lambda api: f"{part(b'[' * 3000)}.{part(b'{}')}.",
}


@pytest.mark.parametrize("kind", BAD_TOKENS)
def test_refuses_a_token_that_is_not_good_and_does_not_say_why(api: Api, kind: str) -> None:
    assert send(api, BAD_TOKENS[kind](api)).problem(401)["detail"] == NEEDED


def test_a_forged_token_does_not_shut_out_azure_monitor(api: Api) -> None:
    send(api, by_forger(api, kid="forger")).problem(401)
    assert send(api, api.lab.identity.webhook_token(), noted(api)).status == 202


# Valid tokens of callers without permission


@pytest.mark.parametrize(
    "roles", [[], ["operator"], ["actiongroupssecurewebhook"], "ActionGroupsSecureWebhook", None], ids=repr
)
def test_refuses_azure_monitor_without_its_role_and_says_which(api: Api, roles: Any) -> None:
    problem = send(api, api.lab.identity.webhook_token(roles=roles)).problem(403)
    assert "ActionGroupsSecureWebhook" in problem["detail"]


@pytest.mark.parametrize(
    "claims",
    [
        {"appid": APP},
        {"appid": APP, "azp": MONITOR},
        {"appid": None, "azp": APP},
        {"appid": None},
        {"appid": [MONITOR]},
    ],
    ids=repr,
)
def test_refuses_another_application_with_the_role(api: Api, claims: dict[str, Any]) -> None:
    assert "Only Azure Monitor" in send(api, api.lab.identity.webhook_token(**claims)).problem(403)["detail"]


def test_the_tokens_of_people_do_not_open_alerts(api: Api) -> None:
    """Neither their own token nor one that was issued for the audience of alerts is accepted."""
    send(api, api.lab.identity.person_token("ada", PEOPLE["ada"])).problem(401)
    person = {"oid": ELSEWHERE, "preferred_username": "ada@contoso.example"}
    send(api, api.lab.identity.issue(AUDIENCE, person | {"roles": CLAIMS["roles"]})).problem(403)


def test_a_forged_principal_does_not_open_alerts(api: Api) -> None:
    claims = [{"typ": name, "val": value} for name, value in (("oid", MONITOR), ("appid", MONITOR))]
    shown = {"X-MS-CLIENT-PRINCIPAL": part({"auth_typ": "aad", "claims": claims})}
    api.ask("POST", "/api/alerts", api.alert("traffic-manager-fired", "refused"), None, shown).problem(401)


def test_who_is_refused_does_not_learn_what_an_alert_must_look_like(api: Api) -> None:
    stranger = [send(api, "garbage", body) for body in (b"{oops", b"x" * 300_000, noted(api))]
    assert [answer.status for answer in stranger] == [401] * 3


def test_after_all_that_was_refused_no_alert_is_open_and_no_run_was_started(api: Api) -> None:
    send(api, BAD_TOKENS["stale"](api)).problem(401)
    assert (api.plan()["open_alerts"], api.runs(), api.writes()) == (0, [], {})


# While the directory is unavailable


def test_while_the_signing_keys_cannot_be_read_an_alert_is_to_be_sent_again() -> None:
    """An action group gives up on 401 and retries on 503. People's sign-in is the platform's and still works."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"https://127.0.0.1:{closed.getsockname()[1]}"
        with Api(people=PEOPLE, settings={"COLDSITE_LOGIN_ENDPOINT": nowhere}) as api:
            for token in [api.lab.identity.webhook_token()] * 3 + [by_forger(api, kid="forger")]:
                answer = send(api, token)
                assert "signing keys" in answer.problem(503)["detail"]
                assert int(answer.headers["Retry-After"]) > 0
            send(api, "garbage").problem(401)
            assert (api.plan()["open_alerts"], api.runs()) == (0, [])
