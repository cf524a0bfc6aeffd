"""The self-check: an orchestration really runs, and missing settings are named."""

from __future__ import annotations

from tests.app.api import Api


def test_one_orchestration_runs_to_its_end(api: Api) -> None:
    answer = api.post("/api/selfcheck", {})
    assert answer.status == 200, answer.text
    assert answer.json["problems"] == []
    assert 0 < answer.json["seconds"] < 90


def test_a_secret_that_the_platform_could_not_read_is_a_problem() -> None:
    unread = "@Microsoft.KeyVault(SecretUri=https://kv.example/secrets/notify)"
    with Api(settings={"NOTIFY_URL": unread}) as api:
        answer = api.post("/api/selfcheck", {})
    assert answer.status == 200, answer.text
    assert answer.json["problems"] == [
        "The app setting NOTIFY_URL refers to Key Vault, and the platform could not read the secret."
    ]


def test_an_engine_that_is_gone_is_no_success() -> None:
    with Api() as api:
        api.run(api.lab.functions.engine.stop())
        answer = api.post("/api/selfcheck", {})
    assert answer.status == 503
    assert "engine" in answer.json["detail"]
