"""`make audit`: the dependencies against known vulnerabilities, the templates and the workflows against known mistakes.

Runs in an environment of its own (requirements-audit.txt), since checkov needs older libraries than the app. Status 0:
clean, or what was found is explained in place. Status 1: something is not. Status 3: nothing was found, but the
advisories could not be read, so the dependencies were not checked.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

PROJECT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
type Verdict = Literal["clean", "found", "unread"]


class Told(NamedTuple):
    verdict: Verdict
    text: str


def _run(*command: str) -> tuple[int, str, str]:
    try:
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False, timeout=300)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", f"{command[0]} did not run: {error}"
    return done.returncode, done.stdout, done.stderr


def templates() -> Told:
    """checkov over infra/. Every skip in a template carries its reason; a file with resources that it cannot read is a
    finding. The snapshot is left out: it is made from the templates, and its resource ids look like secrets.
    """
    snapshot = ("--skip-path", "contoso.snapshot.json")
    status, text, stderr = _run(
        str(BIN / "checkov"), "-d", "infra", *snapshot, "--skip-download", "--compact", "--output", "json"
    )
    try:
        parsed = json.loads(text)
    except ValueError:
        return Told("found", (text + stderr)[-2000:])
    reports = parsed if isinstance(parsed, list) else [parsed]
    problems = [
        f"{check['check_id']} {check['file_path']} {check['resource']}: {check['check_name']}"
        for report in reports
        for check in report["results"]["failed_checks"]
    ]
    skipped = [check for report in reports for check in report["results"]["skipped_checks"]]
    problems += [
        f"{check['check_id']} {check['file_path']}: skipped without a reason"
        for check in skipped
        if len(check["check_result"].get("suppress_comment") or "") < 20
    ]
    unread = [Path(file) for report in reports for file in report["results"]["parsing_errors"]]
    problems += [f"{file.name} cannot be read" for file in unread if not _only_groups(file.read_text())]
    if not any(report["check_type"] == "bicep" and report["summary"]["resource_count"] for report in reports):
        problems.append("no resource was found in any template")
    if problems or status:
        return Told("found", "\n".join(problems) or stderr[-2000:])
    passed = sum(report["summary"]["passed"] for report in reports)
    return Told("clean", f"{passed} checks passed, {len(skipped)} were skipped for reasons that stand in the templates")


def _only_groups(template: str) -> bool:
    """main.bicep has functions of its own, which checkov cannot read. It may hold resource groups and modules only."""
    kinds = re.findall(r"^resource \w+ '([^'@]+)", template, re.MULTILINE)
    return set(kinds) <= {"Microsoft.Resources/resourceGroups"}


def workflows() -> Told:
    """zizmor for vulnerabilities of the workflows, and their schema."""
    status, text, stderr = _run(str(BIN / "zizmor"), "--offline", "--no-progress", ".github/workflows")
    files = [str(path) for path in sorted((PROJECT / ".github" / "workflows").glob("*.yml"))]
    wrong, more, _ = _run(str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.github-workflows", *files)
    if status or wrong:
        return Told("found", text + stderr + more)
    return Told("clean", f"{len(files)} workflows")


def python_packages() -> Told:
    """pip-audit over the deployed packages. Without ``--strict`` it would pass an index that returns no advisories."""
    status, text, stderr = _run(
        str(BIN / "pip-audit"), "--strict", "--disable-pip", "--require-hashes", "--progress-spinner", "off",
        "-r", "requirements.txt",
    )  # fmt: skip
    if status == 0:
        return Told("clean", stderr.strip())
    vulnerable = "ID" in text and "Fix Versions" in text
    return Told("found" if vulnerable else "unread", (text + stderr).strip()[-600:])


def node_packages() -> Told:
    """npm's own audit of Azurite, which is part of the lab only."""
    status, text, stderr = _run(
        "npm", "--prefix", "lab/azurite", "audit", "--package-lock-only", "--audit-level=high", "--json"
    )
    try:
        report = json.loads(text[text.index("{") :])
    except ValueError:
        return Told("unread", (text + stderr).strip()[-300:])
    if "metadata" not in report:
        return Told("unread", (stderr.strip() or str(report))[-300:])
    return Told("found" if status else "clean", str(report["metadata"]["vulnerabilities"]))


CHECKS: dict[str, Callable[[], Told]] = {
    "templates": templates,
    "workflows": workflows,
    "Python packages": python_packages,
    "Node packages (lab only)": node_packages,
}


def main() -> int:
    results = {name: check() for name, check in CHECKS.items()}
    for name, (verdict, text) in results.items():
        words = {"clean": "clean", "found": "FOUND", "unread": "NOT CHECKED: the advisories could not be read here"}
        print(f"{name}: {words[verdict]}\n  " + text.replace("\n", "\n  "))
    verdicts = {verdict for verdict, _ in results.values()}
    return 1 if "found" in verdicts else 3 if "unread" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
