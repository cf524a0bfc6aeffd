"""The JSON Schema that editors use: it must agree with the loader."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from shared.plans.schema import json_schema
from tests.plans import PLANS, REMOVED, contoso_data

SCHEMA = json_schema()
TYPES = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool}


def complaints(schema: dict[str, Any], value: Any, at: str = "") -> Iterator[str]:
    """The errors of JSON Schema for ``value``: the part of the standard that the plan's schema uses."""
    if reference := schema.get("$ref"):
        schema = SCHEMA["$defs"][reference.removeprefix("#/$defs/")]
    if value is None and schema.get("type") == "null":
        return
    if (choices := schema.get("anyOf")) and all(any(complaints(choice, value, at)) for choice in choices):
        yield f"{at}: fits no choice"
    if "type" in schema and not isinstance(value, TYPES.get(schema["type"], ())):
        yield f"{at}: is no {schema['type']}"
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield f"{at}: not a known word"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{at}: does not match {schema['pattern']}"
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield f"{at}: too few"
        for number, item in enumerate(value):
            yield from complaints(schema.get("items", {}), item, f"{at}.{number}")
    if isinstance(value, dict):
        yield from _complaints_of_mapping(schema, value, at)


def _complaints_of_mapping(schema: dict[str, Any], value: dict[str, Any], at: str) -> Iterator[str]:
    yield from (f"{at}.{key}: is missing" for key in schema.get("required", []) if key not in value)
    for key, item in value.items():
        patterns = [s for pattern, s in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
        inner = schema.get("properties", {}).get(key) or next(iter(patterns), schema.get("additionalProperties", True))
        if inner is False:
            yield f"{at}.{key}: unknown key"
        elif isinstance(inner, dict):
            yield from complaints(inner, item, f"{at}.{key}")


def test_accepts_contoso() -> None:
    assert list(complaints(SCHEMA, contoso_data())) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"detection.confirmfor": "90s"}, ".detection.confirmfor: unknown key"),
        ({"detection.mode": "automattic"}, ".detection.mode: not a known word"),
        ({"detection.trust": "of"}, ".detection.trust: fits no choice"),
        ({"detection.confirm_for": 90}, ".detection.confirm_for: is no string"),
        ({"detection.confirm_for": "90"}, ".detection.confirm_for: does not match"),
        ({"recovery.workloads.sql.nic": REMOVED}, ".recovery.workloads.sql.nic: is missing"),
        ({"recovery.workloads.sql.sizes": []}, ".recovery.workloads.sql.sizes: too few"),
        ({"query_texts": {}}, ".query_texts: unknown key"),
        ({"replication.script_texts": {}}, ".replication.script_texts: unknown key"),
    ],
)
def test_underlines_in_the_editor_what_the_loader_refuses(changes: dict[str, Any], complaint: str) -> None:
    assert any(c.startswith(complaint) for c in complaints(SCHEMA, contoso_data(changes)))


def test_is_plain_json() -> None:
    assert json.loads(json.dumps(SCHEMA))["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_schema_file_beside_the_plans_is_the_one_that_the_command_prints() -> None:
    file = PLANS / "plan.schema.json"
    assert json.loads(file.read_text(encoding="utf-8")) == SCHEMA, "run: coldsite plan schema > plans/plan.schema.json"
