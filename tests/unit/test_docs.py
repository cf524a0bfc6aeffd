"""Files and scenarios that the documents name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SCENARIOS = {path.stem for path in (ROOT / "lab" / "scenarios").glob("*.yaml")}
EXAMPLES = ("plans/acme", "plans/NAME")
"""Paths that exist only in a reader's own installation."""
FOLDERS = ("tests/", "lab/", "shared/", "functions/", "bench/", "docs/", "plans/", "infra/", "cli/")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_that_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = {part for part in re.findall(r"`([^`\s]+)`", text) if part.startswith(FOLDERS) and "{" not in part}
    named = {name for name in named if not name.startswith(EXAMPLES)}
    linked = set(re.findall(r"\]\(([^)#]+)\)", text))
    missing = {name for name in named if not (ROOT / name).exists()}
    missing |= {link for link in linked if "://" not in link and not (document.parent / link).exists()}
    assert missing == set()


def test_every_scenario_that_the_promises_name_is_there() -> None:
    text = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
    lists = re.findall(r"scenarios? ((?:`[a-z0-9-]+`(?:, )?)+)", text)
    named = {name for part in lists for name in re.findall(r"`([a-z0-9-]+)`", part)}
    assert len(named) > 30
    assert named - SCENARIOS == set()
