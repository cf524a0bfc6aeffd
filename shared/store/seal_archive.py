"""A copy of each seal where nobody can change or remove it: a blob container with an immutability policy.

The chain of seals shows that a row was changed; a copy out of reach shows it even where somebody rewrote the chain.
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

    A failure never keeps a run from ending: the seal itself is in the history.
    """
    container = settings.seals_endpoint()
    if container is None:
        return None
    said = {
        "run_id": run.run_id,
        "seal": run.seal,
        "sealed_over": run.sealed_over,
        "outcome": run.outcome,
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
    }
    address = f"{container}/{run.plan}/{run.run_id}.json"
    body = json.dumps(said).encode()
    headers = {
        "x-ms-version": _VERSION,
        "x-ms-blob-type": "BlockBlob",
        "Content-Type": "application/json",
        "If-None-Match": "*",
    }
    try:
        answer = await clients.blobs().send_request(HttpRequest("PUT", address, headers=headers, content=body))
        if answer.headers.get("x-ms-error-code") == "BlobAlreadyExists":  # A first attempt was cut off, or a forger.
            kept = await clients.blobs().send_request(HttpRequest("GET", address, headers={"x-ms-version": _VERSION}))
            same = kept.status_code == 200 and json.loads(kept.content).get("seal") == run.seal
            return None if same else "another copy is there"
    except (AzureError, ValueError) as error:
        return f"storage did not answer ({type(error).__name__})"
    return None if answer.status_code == 201 else f"storage answered {answer.status_code}"
