"""Which scenarios carry a tag: read without building their plans, since every process of a test run reads all of them."""

from __future__ import annotations

from pathlib import Path

import yaml

from lab.options import PROJECT

FILES = sorted((PROJECT / "lab" / "scenarios").glob("*.yaml"))


def tagged(tag: str) -> list[Path]:
    return [file for file in FILES if tag in yaml.load(file.read_text(), yaml.CSafeLoader).get("tags", [])]
