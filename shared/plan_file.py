"""Reading plan files: strict, with messages that name file, key, value and what was expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.cloud.ids import take_apart
from shared.durations import format_duration
from shared.errors import PlanError
from shared.limits import OverLimitError, check_size
from shared.plan import HttpProbe, RecoveryPlan, Strict

MAX_FILE = 256 * 1024
SCRIPTS = ("status", "freeze", "thaw", "reverse")


class _StrictLoader(yaml.SafeLoader):
    """YAML without its two traps: the last of two equal keys winning silently, and on, off, yes, no as booleans."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.YAMLError(f"a key is no plain word (line {key_node.start_mark.line + 1})")
            if key in seen:
                raise yaml.YAMLError(f"key {key!r} stands twice (line {key_node.start_mark.line + 1})")
            seen.add(key)
        return super().construct_mapping(node, deep)


_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def read_yaml(path: Path) -> Any:
    """Reads one YAML file.

    Raises ``PlanError`` for a missing file, broken YAML, a key that stands twice, or more than a plan can be.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_FILE:
            raise PlanError(str(path), [f"is longer than {MAX_FILE // 1024} KiB, which no plan is"])
        data = yaml.load(decode_text(path, raw), Loader=_StrictLoader)  # noqa: S506 (a SafeLoader)
        check_size(data)
    except PlanError:
        raise
    except OSError as error:
        raise PlanError(str(path), [f"cannot be read: {error.strerror}"]) from error
    except OverLimitError as error:
        raise PlanError(str(path), [f"is {error}, which no plan is"]) from error
    except RecursionError as error:
        raise PlanError(str(path), ["is not YAML: it is nested too deeply"]) from error
    except (yaml.YAMLError, ValueError) as error:
        raise PlanError(str(path), [f"is not YAML: {' '.join(str(error).split())}"]) from error
    return data


def decode_text(path: Path, raw: bytes) -> str:
    """A text file that a person edits, in UTF-8, with or without the mark that Windows' tools put in front.

    Raises ``PlanError`` for another encoding, with the file and how to save it.
    """
    said = "is not UTF-8. Save it as UTF-8 (Notepad: Save as, Encoding: UTF-8)"
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise PlanError(str(path), [f"is UTF-16, and {said.removeprefix('is ')}"])
    if b"\0" in raw:
        raise PlanError(str(path), [f"holds bytes that are no text (UTF-16 without its mark?), so it {said}"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise PlanError(str(path), [f"{said}; line {line} holds a letter in another encoding"]) from None


def load_plan(path: Path) -> RecoveryPlan:
    """Reads, checks and completes one plan file. Raises ``PlanError`` with every problem found."""
    return build_plan(read_yaml(path), path)


def load_plans(folder: Path) -> dict[str, RecoveryPlan]:
    """Reads every plan of a folder by name. One bad plan stops the start: better at noon than in the disaster."""
    plans: dict[str, RecoveryPlan] = {}
    for path in sorted(folder.glob("*.yaml")):
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
    if isinstance(data.get("replication"), dict) and "script_texts" in data["replication"]:
        reserved.append("replication.script_texts")
    if reserved:
        raise PlanError(str(path), [f"{key}: unknown key; the files' texts are read by Coldsite" for key in reserved])
    try:
        plan = RecoveryPlan.model_validate(data)
    except ValidationError as error:
        raise PlanError(str(path), _problems(error.errors())) from None
    plan, problems = _with_files(plan, path)
    problems += list(_contradictions(plan))
    if problems:
        raise PlanError(str(path), problems)
    return plan


def _problems(errors: list[ErrorDetails]) -> list[str]:
    """One line a problem. Where a key may be a word or a mapping, only what fits the given value is said."""
    mappings = {".".join(_walk(e["loc"])[0]) for e in errors if e["type"] == "model_type"}
    told: list[str] = []
    for error in errors:
        key = ".".join(_walk(error["loc"])[0])
        in_union = any(str(part).startswith("literal[") for part in error["loc"])
        if in_union and isinstance(error.get("input"), dict):
            continue
        if error["type"] == "model_type" and any(e["type"] == "literal_error" and key in mappings for e in errors):
            continue
        told.append(_explain(key, error))
    return told


def _explain(key: str, error: ErrorDetails) -> str:
    value = error.get("input")
    match error["type"]:
        case "extra_forbidden":
            return f"{key}: unknown key{_suggestion(error)}"
        case "missing":
            return f"{key}: is missing"
        case "literal_error":
            expected = error["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            return f"{key}: {value!r} is not one of {expected}"
        case "value_error":
            said = str(error["ctx"]["error"])
            return f"{key}: {_short(value)} {said}" if not isinstance(value, dict) else f"{key}: {said}"
        case "string_pattern_mismatch":
            return f"{key}: {value!r} does not look like {error['ctx']['pattern']}"
        case _:
            message = error["msg"]
            return f"{key}: {_short(value)}: {message[0].lower()}{message[1:]}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _suggestion(error: ErrorDetails) -> str:
    here = _walk(error["loc"][:-1])[1]
    model = next((one for one in (here, *get_args(here)) if _is_model(one)), None)
    known = [f.alias or name for name, f in model.model_fields.items()] if model else []
    close = difflib.get_close_matches(str(error["loc"][-1]), known, n=1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; expected one of {', '.join(known)}" if known else ""


def _walk(location: tuple[int | str, ...]) -> tuple[list[str], Any]:
    """The keys of an error's location, without the names that pydantic puts in for unions, and the type there."""
    here: Any = RecoveryPlan
    keys: list[str] = []
    for part in location:
        here, is_key = _step_into(here, part)
        if is_key:
            keys.append(str(part))
    return keys, here


def _step_into(here: Any, part: int | str) -> tuple[Any, bool]:
    if _is_model(here):
        field = here.model_fields.get(str(part))
        return (field.annotation if field else None), True
    arguments = [a for a in get_args(here) if a is not type(None)]
    origin = get_origin(here)
    if origin is Annotated:
        return _step_into(arguments[0], part)
    if origin is dict:
        return arguments[1], True
    if origin is list:
        return arguments[0], True
    if origin in (Union, UnionType):
        named = next((a for a in arguments if getattr(a, "__name__", "") == part), None)
        if named is not None or str(part).startswith("literal["):
            return named, False
        return _step_into(arguments[0], part)
    return None, not str(part).startswith("function-")


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Strict)


def _with_files(plan: RecoveryPlan, path: Path) -> tuple[RecoveryPlan, list[str]]:
    """Brings in the texts of the scripts and queries that the plan names."""
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
            queries[signal.logs.query] = decode_text(query, query.read_bytes())
    scripts: dict[str, str] = {}
    if plan.replication.scripts:
        scripts_folder = _inside(path.parent, plan.replication.scripts)
        for script in SCRIPTS:
            file = scripts_folder / f"{script}.ps1" if scripts_folder else None
            if file is None or not file.is_file():
                problems.append(f"replication.scripts: {plan.replication.scripts!r} holds no {script}.ps1")
            else:
                scripts[script] = decode_text(file, file.read_bytes())
    replication = plan.replication.model_copy(update={"script_texts": scripts})
    return plan.model_copy(update={"query_texts": queries, "replication": replication}), problems


def _inside(folder: Path, name: str) -> Path | None:
    path = (folder / name).resolve()
    return path if path.is_relative_to(folder.resolve()) else None


def _contradictions(plan: RecoveryPlan) -> Iterator[str]:
    detection = plan.detection
    if detection.mode == "automatic" and len(detection.paths) < 2:
        yield f"detection.mode: 'automatic' needs signals on at least two paths, not only on {_list(detection.paths)}"
    if detection.quorum > len(detection.paths):
        paths = _list(detection.paths)
        yield f"detection.quorum: {detection.quorum} is more than the {len(detection.paths)} paths: {paths}"
    if detection.confirm_deadline <= detection.confirm_for:
        yield "detection.confirm_deadline: must be longer than confirm_for, or nothing could ever be confirmed"
    if detection.approval.four_eyes and detection.approval.then == "proceed":
        yield "detection.approval.then: 'proceed' would go on without the second person that four_eyes asks for"
    if detection.cooldown > plan.objectives.recovery_time:
        yield (
            f"detection.cooldown: {format_duration(detection.cooldown)} is longer than objectives.recovery_time "
            f"({format_duration(plan.objectives.recovery_time)}): a second outage would not be looked at in time"
        )
    if plan.loss_limit < plan.replication.look_every:
        yield (
            f"detection.loss_limit: {format_duration(plan.loss_limit)} is shorter than replication.look_every "
            f"({format_duration(plan.replication.look_every)}), so the data would always be too old"
        )
    if detection.mode == "automatic" and not plan.replication.scripts:
        yield (
            "replication.scripts: is missing. Without status.ps1 the age of the data is never known, and automatic may "
            "not move customers to data of unknown age; name the scripts, or use mode approve"
        )
    if plan.traffic.primary.endpoint.lower() == plan.traffic.recovery.endpoint.lower():
        yield f"traffic.recovery.endpoint: {plan.traffic.recovery.endpoint!r} is the primary's endpoint too"
    yield from _probes_that_follow_the_customers(plan)
    yield from _bad_dependencies(plan)
    yield from _shared_places(plan)
    yield from _places_without_rights(plan)
    for number, window in enumerate(plan.pause):
        if window.start.tzinfo is None or window.end.tzinfo is None:
            yield f"pause.{number}: start and end need a time zone, for example 2027-01-15T20:00:00+01:00"
        elif window.end <= window.start:
            yield f"pause.{number}: ends before it starts"


def _probes_that_follow_the_customers(plan: RecoveryPlan) -> Iterator[str]:
    probes: list[tuple[str, HttpProbe]] = []
    for name, signal in plan.detection.signals.items():
        if signal.http:
            probes.append((f"detection.signals.{name}.http", signal.http))
    probes += [(f"traffic.verify.{i}.http", p.http) for i, p in enumerate(plan.traffic.verify) if p.http]
    for key, probe in probes:
        if probe.host and probe.port == 80:
            yield f"{key}.port: 80 with a host: a probe with a host speaks TLS. Remove host, or ask port 443"
        if not probe.connect_to:
            yield (
                f"{key}.connect_to: is missing. The name {probe.host!r} leads where customers are sent, so the probe "
                "would follow them to the other site; name the site's own address"
            )
        elif _leads_to_customers(plan, probe.connect_to):
            yield f"{key}.connect_to: {probe.connect_to!r} is traffic.hostname: the probe would follow the customers"
        elif re.sub(r":[0-9]+$", "", probe.connect_to).lower() == (probe.host or "").lower():
            yield f"{key}.connect_to: {probe.connect_to!r} is the customers' own name; name the site's own address"
    verified = {v.http.connect_to for v in plan.traffic.verify if v.http and v.http.connect_to}
    for name, signal in plan.detection.signals.items():
        if signal.http and signal.role == "evidence" and signal.http.connect_to in verified:
            place = signal.http.connect_to
            yield f"detection.signals.{name}.http.connect_to: {place!r} is where traffic.verify asks the recovery site"
    asked = [(f"detection.signals.{name}.sql.server", s.sql) for name, s in plan.detection.signals.items() if s.sql]
    asked += [(f"traffic.verify.{i}.sql.server", v.sql) for i, v in enumerate(plan.traffic.verify) if v.sql]
    for key, sql in asked:
        if not sql.server:
            yield f"{key}: is missing"
        elif _leads_to_customers(plan, sql.server):
            yield f"{key}: {sql.server!r} is traffic.hostname: the probe would follow the customers"
    recovered = {w.address.failover.lower() for w in plan.recovery.workloads.values()}
    for name, signal in plan.detection.signals.items():
        if signal.sql and (signal.sql.server or "").lower() in recovered:
            yield f"detection.signals.{name}.sql.server: {signal.sql.server!r} is a recovery machine's address"


def _leads_to_customers(plan: RecoveryPlan, place: str) -> bool:
    return re.sub(r":[0-9]+$", "", place).rstrip(".").lower() == plan.traffic.hostname.rstrip(".").lower()


def _bad_dependencies(plan: RecoveryPlan) -> Iterator[str]:
    workloads = plan.recovery.workloads
    for name, workload in workloads.items():
        for needed in workload.depends_on:
            if needed not in workloads:
                yield f"recovery.workloads.{name}.depends_on: {needed!r} is not one of {_list(workloads)}"
    try:
        TopologicalSorter({name: list(w.depends_on) for name, w in workloads.items()}).prepare()
    except CycleError as error:
        yield f"recovery.workloads: depends_on goes round in a circle: {' -> '.join(error.args[1])}"


def _places_without_rights(plan: RecoveryPlan) -> Iterator[str]:
    """Coldsite's identity may join interfaces in the recovery group only, and read disks only beside the replication
    machine: Azure would refuse others in the middle of a failover. Source: infra/coldsite/permissions.bicep
    """
    recovery, replica = take_apart(plan.recovery.resource_group), take_apart(plan.replication.machine)
    for name, workload in plan.recovery.workloads.items():
        for role in ("failover", "drill"):
            if not take_apart(workload.nic.of(role)).is_in_group_of(recovery):
                yield (
                    f"recovery.workloads.{name}.nic.{role}: lies outside {plan.recovery.resource_group}, the only "
                    "resource group in which the deployment lets Coldsite use interfaces. Create it there"
                )
        places = [("os", workload.disks.os)]
        places += [(f"data.{number}", data.disk) for number, data in enumerate(workload.disks.data)]
        for label, disk in places:
            if not take_apart(disk).is_in_group_of(replica):
                yield (
                    f"recovery.workloads.{name}.disks.{label}: lies outside resource group {replica.group} of "
                    f"subscription {replica.subscription}, where the replication machine is, and where alone the "
                    "deployment lets Coldsite read disks. Move it there"
                )


def _shared_places(plan: RecoveryPlan) -> Iterator[str]:
    """Two workloads, or a drill and a failover, must never want the same NIC, address or disk."""
    taken: dict[str, str] = {}
    for name, workload in plan.recovery.workloads.items():
        places = [
            (f"{kind}.{role}", getattr(workload, kind).of(role))
            for kind in ("nic", "address")
            for role in ("failover", "drill")
        ]
        places += [("disks", disk) for _, disk in plan.workload_disks(name)]
        for key, value in places:
            here = f"recovery.workloads.{name}.{key}"
            other = taken.setdefault(value.lower(), here)
            if other != here or (key == "disks" and sum(v.lower() == value.lower() for _, v in places) > 1):
                yield f"{here}: {value!r} is already {other}'s"
        luns = [disk.lun for disk in workload.disks.data]
        if len(set(luns)) < len(luns):
            yield f"recovery.workloads.{name}.disks.data: two disks have one LUN"


def _list(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"
