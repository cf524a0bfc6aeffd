"""The sentences that people read, collected from the source into one golden file: ``python -m tests.unit.sentences``."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from keyword import iskeyword
from pathlib import Path

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden" / "sentences.txt"
REWRITE = "python -m tests.unit.sentences"
_SHOWN, _CHECKED = ("functions", "shared", "cli"), ("function_app.py", "functions", "shared", "cli", "lab")

FORBIDDEN = {
    r"nobody|somebody|someone|whoever": "name the subject: the operator, the caller, Azure, Coldsite",
    r"anew|once\s+more": "write: again",
    r"heed(s|ed|ing)?": "name the effect, for example: an abort takes effect",
    r"mend(s|ed|ing)?": "write: fix",
    r"give(s|n)?\s+again": "write: redeliver, or repeat",
    r"stands\s+twice": "write: duplicate",
    r"speaks?\s+against": "write: the reason against it",
    r"led": "write: route, or resolve",
}
"""Words that no sentence, docstring or comment contains, and what to write instead."""

_NO_SENTENCE = re.compile(
    r"\s*((SELECT|INSERT|UPDATE|DELETE|CREATE|let|GET|PUT)\s|- )|.*(\b(eq|gt|lt) @|://\S+$|\\b|\w\|\w|-src |\n {2}|on: \{)",
    re.DOTALL,
)
"""Queries, requests, patterns, and templates of files."""
type Sentence = tuple[int, str]
"""Its line and its text."""


def strings(tree: ast.AST) -> Iterator[Sentence]:
    """Every string and f-string, docstrings too, in the order of the source; strings within placeholders come last."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(_piece(part) for part in node.values)
            for part in node.values:
                if isinstance(part, ast.FormattedValue):
                    yield from strings(part)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        else:
            yield from strings(node)


def _piece(part: ast.expr) -> str:
    """A constant part of an f-string as it is, a placeholder with the last name of its expression."""
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    names = re.findall(r"[A-Za-z_]\w*", re.sub(r"'[^']*'", "", ast.unparse(part.value)))
    return "{" + next((name for name in reversed(names) if not iskeyword(name)), "") + "}"


def comments(source: str) -> Iterator[Sentence]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def for_people(tree: ast.Module) -> Iterator[str]:
    """The strings that read as a sentence or a title, and every help text; a command's docstring is its help text."""
    helps: set[Sentence] = set()
    docs: set[Sentence] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "help":
            helps |= set(strings(node))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            docs.add((node.value.lineno, node.value.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(
            ".command" in ast.unparse(decorator) for decorator in node.decorator_list
        ):
            helps |= docs & set(strings(ast.Module(node.body[:1], [])))
    for literal in strings(tree):
        if literal in helps or (literal not in docs and _is_sentence(literal[1])):
            yield literal[1]


def _is_sentence(text: str) -> bool:
    words = re.findall(r"[A-Za-z][A-Za-z'-]+", re.sub(r"\{\w*\}", " ", text))
    enough = len(words) >= 2 and len(words) + text.count("{") >= 3 and " " in text.strip()
    return enough and not _NO_SENTENCE.match(text)


def collected() -> str:
    """The content of the golden file."""
    lines = []
    for path in _files(_SHOWN):
        found = [" ".join(text.split()) for text in for_people(ast.parse(path.read_text("utf-8")))]
        lines += [f"# {path.relative_to(ROOT).as_posix()}", *found, ""] if found else []
    for path in sorted(path for place in _SHOWN for path in (ROOT / place).rglob("*") if path.suffix in _OTHERS):
        found = list(_OTHERS[path.suffix](path.read_text("utf-8")))
        lines += [f"# {path.relative_to(ROOT).as_posix()}", *found, ""] if found else []
    return "\n".join(lines)


def _of_page(source: str) -> Iterator[str]:
    """The texts of a template: a line for each element, with placeholders by name."""
    source = re.sub(r"<(script|style)\b.*?</\1>|\{#.*?#\}", "", source, flags=re.DOTALL)
    source = re.sub(r"\{\{\s*([\w.]+).*?\}\}", lambda hit: "{" + hit[1].split(".")[-1] + "}", source)
    source = re.sub(r"\{\{.*?\}\}", lambda hit: " / ".join(re.findall(r'"(\w[^"]+)"', hit[0])), source)
    for text in re.split(r"\{%.*?%\}|</?(?!a\b|b\b|code\b|em\b|strong\b)\w[^>]*>", source, flags=re.DOTALL):
        sentence = " ".join(re.sub(r"<[^>]*>", "", text).split())
        if _is_sentence(sentence):
            yield sentence


def _of_script(source: str) -> Iterator[str]:
    """The quoted texts of a script."""
    for hit in re.finditer(
        r'"((?:[^"\\\n]|\\.)*)"|`([^`]*)`|\'((?:[^\'\\\n]|\\.)*)\'', re.sub(r"(?m)^\s*//.*$", "", source)
    ):
        sentence = " ".join((hit[1] or hit[2] or hit[3] or "").split())
        if _is_sentence(sentence):
            yield sentence


_OTHERS = {".html": _of_page, ".js": _of_script, ".psm1": _of_script}


def problems(path: str, source: str) -> list[str]:
    """The forbidden words of one file, each with its place and with what to write instead."""
    found = []
    for at, text in (*strings(ast.parse(source)), *comments(source)):
        for words, instead in FORBIDDEN.items():
            for hit in re.finditer(rf"\b({words})\b", text, re.IGNORECASE) if " " in text else ():
                line = at + text.count("\n", 0, hit.start())
                found.append(f"{path}:{line}: {' '.join(hit.group().split())!r}: {instead}")
    return found


def all_problems() -> list[str]:
    return [hit for path in _files(_CHECKED) for hit in problems(str(path.relative_to(ROOT)), path.read_text("utf-8"))]


def _files(places: tuple[str, ...]) -> list[Path]:
    under = {path for place in places for path in (ROOT / place).rglob("*.py")}
    return sorted(under | {ROOT / place for place in places if place.endswith(".py")})


if __name__ == "__main__":
    GOLDEN.write_text(collected(), "utf-8")
