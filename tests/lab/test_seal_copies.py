"""Each run's seal is copied to immutable storage; a failed copy does not keep the run from ending."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.app.api import Api
from tests.plans import contoso_with
from tests.waiting import LIMIT


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(contoso_with({"drill.keep_for": "1s"}), keeps_seals=True) as api:
        yield api


def drilled(api: Api) -> dict[str, Any]:
    run_id = api.post("/api/plans/contoso/drill", {"reason": "A test"}).json["run_id"]
    return api.finished(run_id, 90.0)


async def copy_of(api: Api, run_id: str) -> Any:
    lab = api.lab
    url = f"{lab.seals_endpoint}/contoso/{run_id}.json"
    async with (
        aiohttp.ClientSession(headers=lab.blob_headers()) as session,
        session.get(url, ssl=lab._client_tls) as found,
    ):
        return await found.json(content_type=None) if found.status == 200 else None


def test_the_copy_says_what_the_history_says(api: Api) -> None:
    run = drilled(api)
    copy = api._loop.run(copy_of(api, run["run_id"]), LIMIT)
    assert run["seal"]
    assert {name: copy[name] for name in ("seal", "sealed_over", "outcome")} == {
        name: run[name] for name in ("seal", "sealed_over", "outcome")
    }


def test_a_run_ends_without_its_copy_and_the_story_says_so(api: Api) -> None:
    api._loop.run(api.lab.blobs.stop(), LIMIT)
    run = drilled(api)
    assert run["outcome"] == "succeeded"
    assert any(f"seal of run {run['run_id']} could not be copied" in told for told in api.story())
    assert api.sealed()
