"""A copy of each seal that cannot be changed or deleted: a blob container with an immutability policy.

The chain of seals proves that a row was changed; an immutable copy proves it even after a rewrite of the chain.
Sources: MicrosoftDocs/azure-docs:articles/storage/blobs/immutable-storage-overview.md; Put Blob in the REST API of blob
storage, version 2023-11-03.
"""

from __future__ import annotations

import json

from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from shared import settings
from shared.azure import clients
from shared.models.runs import RecoveryRun

_VERSION = "2023-11-03"


async def keep_copy(run: RecoveryRun) -> str | None:
    """Copies a run's seal. Returns why that failed, or None; without a container there is nothing to do.

    A failure never blocks the end of a run: the seal itself is in the history.
    """
    container = settings.seals_endpoint()
    if container is None:
        return None
    copy = {
        "run_id": run.run_id,
        "seal": run.seal,
        "sealed_over": run.sealed_over,
        "outcome": run.outcome,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
    }
    address = f"{container}/{run.plan}/{run.run_id}.json"
    body = json.dumps(copy).encode()
    headers = {
        "x-ms-version": _VERSION,
        "x-ms-blob-type": "BlockBlob",
        "Content-Type": "application/json",
        "If-None-Match": "*",
    }
    try:
        answer = await clients.blobs().send_request(HttpRequest("PUT", address, headers=headers, content=body))
        if answer.headers.get("x-ms-error-code") == "BlobAlreadyExists":  # An interrupted first attempt, or a forgery.
            kept = await clients.blobs().send_request(HttpRequest("GET", address, headers={"x-ms-version": _VERSION}))
            same = kept.status_code == 200 and json.loads(kept.content).get("seal") == run.seal
            return None if same else "a different copy exists"
    except (AzureError, ValueError) as error:
        return f"storage did not answer ({type(error).__name__})"
    return None if answer.status_code == 201 else f"storage answered {answer.status_code}"
