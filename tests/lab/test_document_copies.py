"""Each document is copied to immutable storage; a failed copy does not keep the run from ending."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.app.api import Api
from tests.plans import contoso_with
from tests.waiting import LIMIT


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with Api(contoso_with({"drill.keep_for": "1s"}), keeps_documents=True) as api:
        yield api


def drilled(api: Api) -> dict[str, Any]:
    run_id = api.post("/api/plans/contoso/drill", {"reason": "A test"}).json["run_id"]
    return api.finished(run_id, 90.0)


async def written(api: Api, method: str, run_id: str, number: int, content: bytes | None = None) -> tuple[int, bytes]:
    """A call for a document's copy: what it says, or what it shall say."""
    lab = api.lab
    url = f"{lab.documents_endpoint}/contoso/{number:08d}-{run_id}.json"
    headers = lab.blob_headers() | ({"x-ms-blob-type": "BlockBlob"} if content else {})
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, url, ssl=lab._client_tls, data=content) as found,
    ):
        return found.status, await found.read()


def verified(api: Api) -> dict[str, Any]:
    found: dict[str, Any] = api.get("/api/plans/contoso/history").json
    return found


def test_the_copy_is_the_document_and_a_forged_copy_is_named(api: Api) -> None:
    run = drilled(api)
    status, copy = api.run(written(api, "GET", run["run_id"], run["document"]))
    assert (status, hashlib.sha256(copy).hexdigest()) == (200, run["sha256"])
    assert json.loads(copy)["run"]["outcome"] == "succeeded"
    assert verified(api) == {"plan": "contoso", "documents": 1, "copies": 1, "problems": []}

    forged = copy.replace(b"succeeded", b"failed   ")
    assert api.run(written(api, "PUT", run["run_id"], run["document"], forged))[0] == 201
    assert verified(api)["problems"] == [
        f"Document 1 (run {run['run_id']}) differs from its copy, which is the original."
    ]


def test_a_run_ends_without_its_copy_and_the_events_say_so(api: Api) -> None:
    api._loop.run(api.lab.blobs.stop(), LIMIT)
    run = drilled(api)
    assert run["outcome"] == "succeeded"
    assert any(f"document of run {run['run_id']} could not be copied" in event for event in api.story())
    assert api.history_intact()
    assert any("The copies could not be read" in problem for problem in verified(api)["problems"])
