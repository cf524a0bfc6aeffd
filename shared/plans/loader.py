"""Reading plan files and the files beside them."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shared.models.errors import PlanError
from shared.models.hooks import Act
from shared.models.json_limits import OverLimitError, check_size
from shared.models.plan import RecoveryPlan
from shared.plans.messages import problems_of
from shared.plans.rules import contradictions

MAX_FILE = 256 * 1024
SCRIPTS = ("status", "freeze", "thaw", "reverse")


class _StrictLoader(yaml.SafeLoader):
    """YAML without its two traps: the last of two duplicate keys wins silently; on, off, yes, no are booleans."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.YAMLError(f"a key is not a plain word (line {key_node.start_mark.line + 1})")
            if key in seen:
                raise yaml.YAMLError(f"duplicate key {key!r} (line {key_node.start_mark.line + 1})")
            seen.add(key)
        return super().construct_mapping(node, deep)


_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def read_yaml(path: Path) -> Any:
    """Reads one YAML file.

    Raises ``PlanError`` for a missing file, broken YAML, a duplicate key, or an oversized plan.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_FILE:
            raise PlanError(str(path), [f"is longer than {MAX_FILE // 1024} KiB, the limit for a plan"])
        data = yaml.load(decode_text(path, raw), Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
        check_size(data)
    except PlanError:
        raise
    except OSError as error:
        raise PlanError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except OverLimitError as error:
        raise PlanError(str(path), [f"is not a plan: {error}"]) from error
    except RecursionError as error:
        raise PlanError(str(path), ["is not YAML: it is nested too deeply"]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise PlanError(str(path), [f"is not YAML: {' '.join(str(error).split())}"]) from error
    return data


def decode_text(path: Path, raw: bytes) -> str:
    """A hand-written text file in UTF-8, with or without the byte order mark of Windows' tools.

    Raises ``PlanError`` for another encoding, with the file and how to save it.
    """
    message = "is not UTF-8. Save it as UTF-8 (Notepad: Save as, Encoding: UTF-8)"
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise PlanError(str(path), [f"is UTF-16, and {message.removeprefix('is ')}"])
    if b"\0" in raw:
        raise PlanError(
            str(path), [f"contains bytes that are not text (UTF-16 without a byte order mark?), so it {message}"]
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise PlanError(str(path), [f"{message}; line {line} contains a character in another encoding"]) from None


def load_plan(path: Path) -> RecoveryPlan:
    """Reads, checks and completes one plan file. Raises ``PlanError`` with every problem found."""
    return build_plan(read_yaml(path), path)


def load_plans(folder: Path) -> dict[str, RecoveryPlan]:
    """Reads every plan of a folder by name. An invalid plan prevents the start: better at noon than in the disaster."""
    plans: dict[str, RecoveryPlan] = {}
    for path in sorted(folder.glob("*")):
        if path.suffix.lower() not in (".yaml", ".yml"):
            continue
        if path.suffix != ".yaml":
            raise PlanError(str(path), [f"would be ignored; rename it to {path.stem}.yaml"])
        plan = load_plan(path)
        if plan.name in plans:
            raise PlanError(str(path), [f"name: {plan.name!r} is already another plan's name"])
        plans[plan.name] = plan
    return plans


def build_plan(data: Any, path: Path) -> RecoveryPlan:
    """Turns a parsed document into a plan; ``path`` is for messages and for the files beside it."""
    if not isinstance(data, dict):
        raise PlanError(str(path), ["is not a plan: expected a mapping with name, title, traffic, ..."])
    reserved = [key for key in ("query_texts",) if key in data]
    parts = [key for key in ("replication", "failback", "hooks") if isinstance(data.get(key), dict)]
    reserved += [f"{key}.script_texts" for key in parts if "script_texts" in data[key]]
    if reserved:
        raise PlanError(str(path), [f"{key}: unknown key; Coldsite reads the files' texts itself" for key in reserved])
    try:
        plan = RecoveryPlan.model_validate(data)
    except ValidationError as error:
        raise PlanError(str(path), problems_of(error.errors())) from None
    plan, problems = _with_files(plan, path)
    problems += list(contradictions(plan))
    if problems:
        raise PlanError(str(path), problems)
    return plan


def _with_files(plan: RecoveryPlan, path: Path) -> tuple[RecoveryPlan, list[str]]:
    """Loads the texts of the scripts and queries that the plan names."""
    problems: list[str] = []
    queries: dict[str, str] = {}
    folder = path.parent / plan.name
    for name, signal in plan.detection.signals.items():
        if signal.logs is None:
            continue
        query = _inside(folder, signal.logs.query)
        if query is None or not query.is_file():
            problems.append(f"detection.signals.{name}.logs.query: {signal.logs.query!r} is not a file in {folder}")
        else:
            queries[signal.logs.query] = text = decode_text(query, query.read_bytes())
            if not text.strip():
                problems.append(f"detection.signals.{name}.logs.query: {query} is empty")
    scripts: dict[str, str] = {}
    if plan.replication.scripts:
        scripts_folder = _inside(path.parent, plan.replication.scripts)
        for script in SCRIPTS:
            file = scripts_folder / f"{script}.ps1" if scripts_folder else None
            if file is None or not file.is_file():
                problems.append(f"replication.scripts: {plan.replication.scripts!r} does not contain {script}.ps1")
            else:
                scripts[script] = text = decode_text(file, file.read_bytes())
                if not text.strip():
                    problems.append(f"replication.scripts: {file} is empty")
    replication = plan.replication.model_copy(update={"script_texts": scripts})
    failback = plan.failback.model_copy(
        update={"script_texts": _scripts_of("failback", plan.failback.acts, folder, problems)}
    )
    hooks = plan.hooks.model_copy(update={"script_texts": _scripts_of("hooks", plan.hooks.declared, folder, problems)})
    files = {"query_texts": queries, "replication": replication, "failback": failback, "hooks": hooks}
    return plan.model_copy(update=files), problems


def _scripts_of(key: str, acts: Mapping[Any, Act], folder: Path, problems: list[str]) -> dict[str, str]:
    """The texts of the scripts on recovered machines, by the name of the act."""
    texts: dict[str, str] = {}
    for name, act in acts.items():
        if act.script is None:
            continue
        file = _inside(folder, act.script)
        if file is None or not file.is_file():
            problems.append(f"{key}.{name}.script: {act.script!r} is not a file in {folder}")
            continue
        texts[name] = decode_text(file, file.read_bytes())
        if not texts[name].strip():
            problems.append(f"{key}.{name}.script: {file} is empty")
    return texts


def _inside(folder: Path, name: str) -> Path | None:
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) else None
