"""Evaluates the part of Bicep that ``infra/`` is written in: what a deployment would create, named and wired.

It is no compiler: of types it checks only the values that are given. What only Azure can know (an address, a
principal's id) stays a placeholder that says what it stands for. What is not modelled is refused by name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

from lab.templates.functions import FUNCTIONS, FailError, Unknown

_LENGTH = re.compile(r"@(min|max)Length\((\d+)\)")
_TYPES: dict[str, type] = {"string": str, "bool": bool, "int": int, "object": dict, "array": list}


class TemplateError(Exception):
    """A template that says something unknown or contradictory; the message names file and line."""


@dataclass
class Resource:
    """One resource of a deployment. ``body`` is what the template says of it."""

    id: str
    type: str
    name: str
    existing: bool
    body: dict[str, Any]

    def get(self, key: str) -> Any:
        """A property as a template reads it."""
        known = {"id": self.id, "name": self.name, "type": self.type}
        if key in known:
            return known[key]
        value = None if self.existing else self.body.get(key)
        if isinstance(value, dict):
            return _Partly(f"{self.id}.{key}", value)
        return Unknown(f"{self.id}.{key}") if value is None else value


class _NotMade(Unknown):
    """A module whose condition is false. Azure stops a deployment that reads it all the same."""


class _Partly(dict[str, Any]):
    """Properties of which the template knows some and Azure the rest."""

    def __init__(self, path: str, known: dict[str, Any]) -> None:
        super().__init__(known)
        self._path = path

    def get(self, key: str, default: Any = None) -> Any:
        if key not in self:
            return Unknown(f"{self._path}.{key}")
        value = self[key]
        return _Partly(f"{self._path}.{key}", value) if isinstance(value, dict) else value


@dataclass
class Deployment:
    """What a template with its parameters would create, by lower-cased resource id, and its outputs."""

    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)

    def of_type(self, wanted: str) -> list[Resource]:
        """The resources of one type that the deployment itself creates."""
        return [r for r in self.resources.values() if r.type.lower() == wanted.lower() and not r.existing]


def evaluate(file: Path, parameters: dict[str, Any], scope: str) -> Deployment:
    """Evaluates a template at ``scope``: a subscription's or a resource group's id."""
    deployment = Deployment()
    deployment.outputs = _File(file, parameters, scope, deployment).run()
    return deployment


def read_parameters(file: Path) -> dict[str, Any]:
    """The values of a parameter file."""
    return {name: given["value"] for name, given in json.loads(file.read_text())["parameters"].items()}


@cache
def parse(file: Path) -> Node:
    """A template's syntax tree. Raises ``TemplateError`` where it is no Bicep."""
    tree = Parser(Language(tree_sitter_bicep.language())).parse(file.read_bytes())
    if tree.root_node.has_error:
        bad = next(node for node in _walk(tree.root_node) if node.is_error or node.is_missing)
        raise TemplateError(f"{file.name}:{bad.start_point.row + 1}: is not Bicep: {_text(bad)[:60]!r}")
    return tree.root_node


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _text(node: Node) -> str:
    return (node.text or b"").decode()


class _File:
    """One file of one deployment. Symbols are evaluated when they are first asked for, so their order is free."""

    def __init__(self, file: Path, parameters: dict[str, Any], scope: str, deployment: Deployment) -> None:
        self._file = file
        self._scope = scope
        self._deployment = deployment
        self._declared: dict[str, Node] = {}
        self._values: dict[str, Any] = {}
        self._under: dict[str, str] = {}
        self._functions: dict[str, Node] = {}
        root = parse(file)
        for node in root.named_children:
            if node.type.endswith("_declaration"):
                self._declare(node)
            elif node.type == "user_defined_function":
                self._functions[_text(_identifier(node))] = node
        unknown = set(parameters) - {n for n, d in self._declared.items() if d.type == "parameter_declaration"}
        if unknown:
            raise TemplateError(f"{file.name} has no parameter {', '.join(sorted(unknown))}")
        self._check_given(root, parameters)
        self._values.update(parameters)

    def _check_given(self, root: Node, parameters: dict[str, Any]) -> None:
        """A value is of its parameter's type and length, and one of those that are allowed, as the compiler sees to."""
        allowed: list[Any] | None = None
        lengths: dict[str, int] = {}
        for node in root.named_children:
            if node.type == "decorators":
                calls = [_child(decorator, "call_expression") for decorator in node.named_children]
                lists = [
                    call.named_children[1].named_children[0] for call in calls if _text(call).startswith("allowed(")
                ]
                allowed = self._value(lists[0], {}) if lists else None
                lengths = {word: int(number) for word, number in _LENGTH.findall(_text(node))}
                continue
            if node.type == "parameter_declaration" and (name := _text(_identifier(node))) in parameters:
                value, kind = parameters[name], _text(_child(node, "type"))
                if not isinstance(value, Unknown) and not isinstance(value, _TYPES[kind]):
                    raise self._refuse(node, f"{name} is {value!r}, and no {kind}")
                if allowed is not None and value not in allowed:
                    raise self._refuse(node, f"{name} is {value!r}, and none of {', '.join(allowed)}")
                if lengths and isinstance(value, str | list):
                    least, most = lengths.get("min", 0), lengths.get("max", len(value))
                    if len(value) < least:
                        raise self._refuse(node, f"{name} has {len(value)} letters, and needs {least}")
                    if len(value) > most:
                        raise self._refuse(node, f"{name} has {len(value)} letters, and at most {most} are allowed")
            allowed, lengths = None, {}

    def _declare(self, node: Node, above: str = "") -> None:
        name = _text(_identifier(node))
        if node.type == "output_declaration":
            name = f"output {name}"
        self._declared[name] = node
        if above:
            self._under[name] = above
        if node.type == "resource_declaration":
            for inner in _body(node).named_children:
                for nested in inner.named_children:
                    if nested.type == "resource_declaration":
                        self._declare(nested, name)

    def run(self) -> dict[str, Any]:
        """Evaluates everything and returns the outputs."""
        for name in self._declared:
            self._symbol(name)
        return {n.removeprefix("output "): self._values[n] for n in self._declared if n.startswith("output ")}

    def _refuse(self, node: Node, why: str) -> TemplateError:
        return TemplateError(f"{self._file.name}:{node.start_point.row + 1}: {why}")

    def _symbol(self, name: str) -> Any:
        if name not in self._values:
            node = self._declared[name]
            match node.type:
                case "parameter_declaration":
                    default = node.named_children[-1]
                    if default.type == "type":
                        raise self._refuse(node, f"parameter {name} has no value")
                    self._values[name] = self._value(default, {})
                case "variable_declaration" | "output_declaration":
                    self._values[name] = self._value(node.named_children[-1], {})
                case "resource_declaration" | "module_declaration":
                    self._values[name] = self._made(name, node)
                case other:
                    raise self._refuse(node, f"{other} is not modelled")
        return self._values[name]

    # Resources and modules

    def _made(self, name: str, node: Node) -> Any:
        make = self._module if node.type == "module_declaration" else self._resource
        body = node.named_children[-1]
        if body.type == "if_statement":
            condition, inner = body.named_children
            if self._value(condition, {}):
                return make(name, node, inner, {})
            kind = _NotMade if node.type == "module_declaration" else Unknown
            return kind(f"{name}, which is not made")
        if body.type == "for_statement":
            return [make(name, node, body.named_children[-1], known) for known in self._rounds(body, {})]
        return make(name, node, body, {})

    def _resource(self, name: str, node: Node, body: Node, known: dict[str, Any]) -> Resource:
        declared = self._value(next(c for c in node.named_children if c.type == "string"), {})
        kind = declared.partition("@")[0]
        config = self._value(body, known)
        parent, scope = config.pop("parent", None), config.pop("scope", None)
        own = config.get("name")
        if not isinstance(own, str):
            raise self._refuse(node, "a resource needs a name that is known before it is made")
        if above := self._under.get(name):
            parent = self._symbol(above)
            kind = f"{parent.type}/{kind}"
        if parent is not None:
            path = f"{parent.id}/{kind.rsplit('/', 1)[1]}/{own}"
        elif kind.lower() == "microsoft.resources/resourcegroups":
            path = f"{self._scope}/resourceGroups/{own}"
        else:
            place = scope.id if isinstance(scope, Resource) else self._scope
            path = f"{place}/providers/{kind}/{own}"
        existing = any(child.type == "existing" for child in node.children)
        made = Resource(path, kind, own, existing, config)
        before = self._deployment.resources.get(path.lower())
        if before is not None and not before.existing and not existing:
            raise self._refuse(node, f"{path} is made twice")
        if before is None or before.existing:
            self._deployment.resources[path.lower()] = made
        return made

    def _module(self, name: str, node: Node, body: Node, known: dict[str, Any]) -> dict[str, Any]:
        path = self._value(next(c for c in node.named_children if c.type == "string"), {})
        config = self._value(body, known)
        scope = config.get("scope") or self._scope
        place = scope.id if isinstance(scope, Resource) else str(scope)
        file = (self._file.parent / path).resolve()
        return {"outputs": _File(file, config.get("params", {}), place, self._deployment).run(), "name": config["name"]}

    def _rounds(self, loop: Node, known: dict[str, Any]) -> Iterator[dict[str, Any]]:
        names = loop.named_children[0]
        item, index = (
            [_text(child) for child in names.named_children]
            if names.type == "for_loop_parameters"
            else [_text(names), ""]
        )
        for number, value in enumerate(self._value(loop.named_children[1], known)):
            yield known | {item: value} | ({index: number} if index else {})

    # Expressions

    def _value(self, node: Node, known: dict[str, Any]) -> Any:
        children = [child for child in node.named_children if child.type != "comment"]
        match node.type:
            case "string":
                return self._string(children, known) if children else _text(node).strip("'")
            case "number":
                return int(_text(node))
            case "boolean":
                return _text(node) == "true"
            case "null":
                return None
            case "array":
                return [self._value(child, known) for child in children]
            case "object":
                return self._object(children, known)
            case "for_statement":
                return [self._value(node.named_children[-1], round_) for round_ in self._rounds(node, known)]
            case "identifier":
                name = _text(node)
                if name in known:
                    return known[name]
                if name not in self._declared:
                    raise self._refuse(node, f"{name} is declared nowhere")
                return self._symbol(name)
            case "parenthesized_expression":
                return self._value(children[0], known)
            case "ternary_expression":
                return self._value(children[1 if self._value(children[0], known) else 2], known)
            case "unary_expression":
                value = self._value(children[0], known)
                return not value if node.children[0].type == "!" else -value
            case "binary_expression":
                return self._binary(node, known)
            case "member_expression":
                return self._member(node, self._value(children[0], known), _text(children[1]))
            case "subscript_expression":
                try:
                    return self._value(children[0], known)[self._value(children[1], known)]
                except (IndexError, KeyError):
                    raise self._refuse(node, f"{_text(node)} is out of bounds") from None
            case "resource_expression":
                return self._symbol(_text(children[-1]))
            case "lambda_expression":
                given, body = children
                return lambda value: self._value(body, known | {_text(given): value})
            case "call_expression":
                return self._call(node, known)
        raise self._refuse(node, f"{node.type} is not modelled: {_text(node)[:40]!r}")

    def _string(self, parts: list[Node], known: dict[str, Any]) -> str:
        text = ""
        for part in parts:
            match part.type:
                case "interpolation":  # Blanks before it stand in its opening, where the grammar puts them.
                    text += _text(part.children[0]).removesuffix("${") + str(self._value(part.named_children[0], known))
                case "escape_sequence":
                    text += {"\\n": "\n", "\\t": "\t", "\\r": "\r"}.get(_text(part), _text(part)[1:])
                case _:
                    text += _text(part)
        return text

    def _object(self, properties: list[Node], known: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for member in properties:
            if member.named_children[0].type == "resource_declaration":
                continue
            key, value = member.named_children[0], member.named_children[-1]
            name = self._value(key, known) if key.type == "string" else _text(key)
            found = self._value(value, known)
            if found is not None:
                made[name] = found
        return made

    def _binary(self, node: Node, known: dict[str, Any]) -> Any:
        left, right = node.named_children
        match node.children[1].type:
            case "==":
                return self._value(left, known) == self._value(right, known)
            case "!=":
                return self._value(left, known) != self._value(right, known)
            case "&&":
                return self._value(left, known) and self._value(right, known)
            case "||":
                return self._value(left, known) or self._value(right, known)
        raise self._refuse(node, f"{node.children[1].type} is not modelled")

    def _member(self, node: Node, of: Any, key: str) -> Any:
        if isinstance(of, _NotMade):
            raise self._refuse(node, f"{_text(node)} reads {of.path}")
        if isinstance(of, Unknown):
            return Unknown(f"{of.path}.{key}")
        if isinstance(of, (Resource, _Partly)):
            return of.get(key)
        if isinstance(of, dict) and key in of:
            return of[key]
        raise self._refuse(node, f"there is no {key} in {_text(node)}")

    def _call(self, node: Node, known: dict[str, Any]) -> Any:
        name, arguments = _text(node.named_children[0]), node.named_children[1]
        values = [self._value(argument, known) for argument in arguments.named_children]
        if own := self._functions.get(name):
            named = [_text(_identifier(parameter)) for parameter in _child(own, "parameters").named_children]
            return self._value(own.named_children[-1], dict(zip(named, values, strict=True)))
        if name in ("loadJsonContent", "loadTextContent"):
            text = (self._file.parent / values[0]).read_text()
            return json.loads(text) if name == "loadJsonContent" else text
        if name not in FUNCTIONS:
            raise self._refuse(node, f"the function {name} is not modelled")
        try:
            return FUNCTIONS[name](self._scope, *values)
        except FailError as refusal:
            raise self._refuse(node, str(refusal)) from None


def _identifier(node: Node) -> Node:
    return _child(node, "identifier")


def _child(node: Node, kind: str) -> Node:
    return next(child for child in node.named_children if child.type == kind)


def _body(node: Node) -> Node:
    body = node.named_children[-1]
    return body if body.type == "object" else body.named_children[-1]
