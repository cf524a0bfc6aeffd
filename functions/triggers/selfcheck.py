"""POST /api/selfcheck: one orchestration from start to end, as every failover needs.

An app that answers requests while its durable engine is broken looks healthy until the disaster. Every deployment runs
this (infra/hooks/check.ps1); a caller needs any of the roles.
"""

from __future__ import annotations

import time
import uuid

import azure.durable_functions as df
import azure.functions as func

from functions.activities.selfcheck import Itself
from functions.engine import DurableEngine
from functions.http.auth import Caller
from functions.http.endpoint import endpoint
from functions.http.responses import answer
from functions.http.schemas import SelfChecked

bp = df.Blueprint()
PATIENCE = 90.0
"""Seconds after which the engine counts as broken. A platform that starts its first instance needs some."""


@endpoint(bp, "post", "/selfcheck", "Run one orchestration to completion", role="viewer", gives=SelfChecked)
async def check_self(caller: Caller, req: func.HttpRequest, engine: DurableEngine) -> func.HttpResponse:
    """Starts the orchestration and waits for it to end; 503 when the engine does not complete it."""
    began = time.monotonic()
    found = await engine.run("selfcheck", f"selfcheck-{uuid.uuid4().hex}", PATIENCE)
    checked = SelfChecked(seconds=round(time.monotonic() - began, 2), problems=Itself.model_validate(found).problems)
    return answer(checked.model_dump())
