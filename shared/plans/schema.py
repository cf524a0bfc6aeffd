"""The plan file's JSON Schema, for editors."""

from __future__ import annotations

from typing import Any

from shared.models.plan import RecoveryPlan


def json_schema() -> dict[str, Any]:
    """The plan file's JSON Schema, for editors. Fields that only the loader fills are left out."""
    schema = RecoveryPlan.model_json_schema()
    schema["properties"].pop("query_texts")
    for name in ("Replication", "Failback"):
        schema["$defs"][name]["properties"].pop("script_texts")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema
