"""A copy of each document that cannot be changed or deleted: a blob container with an immutability policy.

The chain reveals a document that was changed; the copy reveals it even after a rewrite of the whole chain, and still
has the original. Sources: MicrosoftDocs/azure-docs:articles/storage/blobs/immutable-storage-overview.md; Put Blob and
Get Blob in the REST API of blob storage, version 2023-11-03.
"""

from __future__ import annotations

from typing import Literal

from azure.core.exceptions import AzureError
from azure.core.rest import HttpRequest

from shared import settings
from shared.azure import clients
from shared.store.documents import Document

_VERSION = "2023-11-03"


async def keep_copy(document: Document) -> str | None:
    """Copies a document. Returns why that failed, or None; without a container there is nothing to do.

    A failure never blocks the end of a run: the document itself is in the history.
    """
    container = settings.documents_endpoint()
    if container is None:
        return None
    headers = {
        "x-ms-version": _VERSION,
        "x-ms-blob-type": "BlockBlob",
        "Content-Type": "application/json",
        "If-None-Match": "*",
    }
    request = HttpRequest("PUT", f"{container}/{document.name}", headers=headers, content=document.content)
    try:
        answer = await clients.blobs().send_request(request)
        if answer.headers.get("x-ms-error-code") == "BlobAlreadyExists":  # An interrupted first attempt, or a forgery.
            return None if await compare_copy(document) == "same" else "a different copy exists"
    except AzureError as error:
        return f"storage did not answer ({type(error).__name__})"
    return None if answer.status_code == 201 else f"storage answered {answer.status_code}"


async def compare_copy(document: Document) -> Literal["same", "different", "missing"]:
    """Compares a document with its copy, byte by byte. Raises the SDK's errors when the storage does not answer."""
    container = settings.documents_endpoint()
    kept = await clients.blobs().send_request(
        HttpRequest("GET", f"{container}/{document.name}", headers={"x-ms-version": _VERSION})
    )
    if kept.status_code == 404:
        return "missing"
    kept.raise_for_status()
    return "same" if kept.content == document.content else "different"
