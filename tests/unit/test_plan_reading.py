"""How plan files are read: plain YAML, the files beside a plan, and encodings of Windows tools."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from shared.models.errors import PlanError
from shared.plans.loader import SCRIPTS, build_plan, load_plan, load_plans, read_yaml
from tests.plans import contoso_data

SIGNALS = "detection.signals"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mode: observe\nmode: automatic\n", "duplicate key 'mode' (line 2)"),
        ("a:\n  b: 1\n  c: 2\n  b: 3\n", "duplicate key 'b' (line 4)"),
        ("a: {b: 1, b: 2}\n", "duplicate key 'b'"),
        ("a: [1\n", "line 2"),
        ("a: 1\n  b: 2\n", "line 2"),
        ("a: !!python/object/apply:os.getcwd []\n", "tag"),
        ("a: 1\n---\nb: 2\n", "single document"),
        ("? [a, b]\n: 1\n", "is not YAML"),
    ],
)
def test_refuses_what_is_not_plain_yaml(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(PlanError) as caught:
        read_yaml(file)
    assert str(caught.value).startswith(f"{file}: is not YAML: ")
    assert says in str(caught.value)


def test_refuses_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"name: \xff\xfe")
    with pytest.raises(PlanError, match=r"bad\.yaml: is not UTF-8\. Save it as UTF-8 .*; line 1 contains a character"):
        load_plan(tmp_path / "bad.yaml")


def test_refuses_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"none\.yaml: cannot be read: No such file"):
        load_plan(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [("on: off", {"on": "off"}), ("yes: no", {"yes": "no"}), ("a: true\nb: false", {"a": True, "b": False})],
)
def test_on_off_yes_and_no_are_words_and_true_and_false_booleans(tmp_path: Path, text: str, value: Any) -> None:
    (tmp_path / "words.yaml").write_text(text)
    assert read_yaml(tmp_path / "words.yaml") == value


# The files beside the plan


def test_refuses_a_plan_whose_query_is_missing(folder: Path) -> None:
    (folder / "contoso" / "heartbeat.kql").unlink()
    with pytest.raises(PlanError, match=r"heartbeat\.logs\.query: 'heartbeat\.kql' is not a file in .*contoso"):
        load_plan(folder / "contoso.yaml")


@pytest.mark.parametrize("script", SCRIPTS)
def test_refuses_a_plan_whose_script_is_missing(folder: Path, script: str) -> None:
    (folder / "contoso" / f"{script}.ps1").unlink()
    with pytest.raises(PlanError) as caught:
        load_plan(folder / "contoso.yaml")
    assert caught.value.problems == [f"replication.scripts: 'contoso' does not contain {script}.ps1"]


@pytest.mark.parametrize("query", ["../../outside.kql", "../contoso.yaml", "{outside}", "link.kql"])
def test_refuses_a_query_outside_the_plans_folder(folder: Path, query: str) -> None:
    outside = folder.parent / "outside.kql"
    outside.write_text("Heartbeat")
    (folder / "contoso" / "link.kql").symlink_to(outside)
    name = query.format(outside=outside)
    with pytest.raises(PlanError, match=r"signals\.heartbeat\.logs\.query: .* is not a file in"):
        build_plan(contoso_data({f"{SIGNALS}.heartbeat.logs.query": name}), folder / "contoso.yaml")


@pytest.mark.parametrize("scripts", ["../outside", "contoso/../../outside", "{outside}"])
def test_refuses_scripts_outside_the_plans_folder(folder: Path, scripts: str) -> None:
    outside = Path(shutil.copytree(folder / "contoso", folder.parent / "outside"))
    name = scripts.format(outside=outside)
    with pytest.raises(PlanError, match=r"replication\.scripts: .* does not contain freeze\.ps1"):
        build_plan(contoso_data({"replication.scripts": name}), folder / "contoso.yaml")


def test_one_bad_plan_of_a_folder_stops_the_start(folder: Path) -> None:
    (folder / "zebra.yaml").write_text("name: zebra\n")
    with pytest.raises(PlanError, match=r"zebra\.yaml: traffic: is missing"):
        load_plans(folder)


def test_refuses_two_plans_of_one_name(folder: Path) -> None:
    shutil.copy(folder / "contoso.yaml", folder / "zebra.yaml")
    with pytest.raises(PlanError, match=r"zebra\.yaml: name: 'contoso' is already another plan's name"):
        load_plans(folder)


@pytest.mark.parametrize("name", ["branch.yml", "branch.YAML", "branch.Yml"])
def test_a_plan_that_would_be_ignored_stops_the_start(folder: Path, name: str) -> None:
    shutil.copy(folder / "contoso.yaml", folder / name)
    with pytest.raises(PlanError, match=r"branch\.\w+: would be ignored; rename it to branch\.yaml"):
        load_plans(folder)


@pytest.mark.parametrize("name", ["heartbeat.kql", "freeze.ps1"])
@pytest.mark.parametrize("text", ["", " \r\n"])
def test_an_empty_query_or_script_is_refused(folder: Path, name: str, text: str) -> None:
    (folder / "contoso" / name).write_text(text)
    with pytest.raises(PlanError, match=rf"{name} is empty"):
        load_plan(folder / "contoso.yaml")


# Files saved by Windows tools

FILES = ["contoso.yaml", "contoso/heartbeat.kql", *(f"contoso/{script}.ps1" for script in SCRIPTS)]


@pytest.mark.parametrize("name", FILES)
def test_the_mark_that_notepad_puts_in_front_is_no_part_of_the_text(folder: Path, name: str) -> None:
    before = load_plan(folder / "contoso.yaml")
    (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    assert load_plan(folder / "contoso.yaml") == before


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", FILES)
def test_a_file_in_utf_16_is_refused_by_its_name_and_told_how_to_save_it(
    folder: Path, name: str, encoding: str
) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    (folder / name).write_bytes(mark + (folder / name).read_text(encoding="utf-8").encode(encoding))
    with pytest.raises(PlanError, match=r"is UTF-16, and not UTF-8\. Save it as UTF-8") as caught:
        load_plan(folder / "contoso.yaml")
    assert str(caught.value).startswith(f"{folder / name}: ")


@pytest.mark.parametrize("name", FILES)
def test_a_file_with_a_letter_of_another_encoding_is_refused_by_its_name_and_line(folder: Path, name: str) -> None:
    lines = (folder / name).read_bytes().count(b"\n")
    (folder / name).write_bytes((folder / name).read_bytes() + "# Größe\n".encode("cp1252"))
    with pytest.raises(PlanError, match=rf"is not UTF-8\..*; line {lines + 1} contains a character") as caught:
        load_plan(folder / "contoso.yaml")
    assert str(caught.value).startswith(f"{folder / name}: ")
