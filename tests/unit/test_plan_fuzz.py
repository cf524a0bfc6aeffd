"""The loader accepts any plan file or reports its errors: no other exception, and no hang."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.models.errors import PlanError
from shared.plans.loader import MAX_FILE, build_plan, load_plan, read_yaml
from tests.plans import CONTOSO, contoso_data

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=30),
    st.binary(max_size=8),
    st.datetimes(),
    st.sampled_from(
        ["", "off", "0s", "-1s", "99999999999999d", "1e9h", "\x00", "${x}", "{}", "*", "../../etc", "a" * 5000]
    ),
    st.lists(st.none(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, value in inner:
        yield from places(value, (*path, key))


PLACES = [path for path in places(contoso_data()) if path]


@given(st.lists(st.tuples(st.sampled_from(PLACES), ODD), min_size=1, max_size=4))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_a_plan_with_odd_values_loads_or_says_what_is_wrong(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    data = copy.deepcopy(contoso_data())
    for path, value in changes:
        place: Any = data
        for key in path[:-1]:
            if (
                not isinstance(place, (dict, list))
                or (isinstance(place, dict) and key not in place)
                or (isinstance(place, list) and (not isinstance(key, int) or key >= len(place)))
            ):
                break
            place = place[key]
        else:
            if isinstance(place, dict) or (
                isinstance(place, list) and isinstance(path[-1], int) and path[-1] < len(place)
            ):
                place[path[-1]] = value
    try:
        build_plan(data, CONTOSO)
    except PlanError as error:
        assert error.problems


@given(
    st.one_of(st.binary(max_size=300), st.text(max_size=300).map(str.encode), ODD.map(lambda v: yaml.dump(v).encode()))
)
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_of_anything_is_read_or_refused(tmp_path: Path, raw: bytes) -> None:
    file = tmp_path / "any.yaml"
    file.write_bytes(raw)
    with pytest.raises(PlanError):
        load_plan(file)


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "more than 20000 values"),
        ("[" * 40 + "]" * 40, "more than 32 levels"),
        ("[" * 20_000, "nested too deeply|not YAML"),
        ("a: " + "x" * MAX_FILE, "longer than"),
        ("a: &a [*a]\n", "more than|not YAML"),
        ("a: !!python/object/apply:os.getcwd []\n", "not YAML"),
        ("\ud800".encode("utf-8", "surrogatepass"), "not UTF-8"),
    ],
    ids=["a bomb of aliases", "deep", "very deep", "long", "in itself", "an object", "half a letter"],
)
def test_a_file_that_would_cost_more_than_it_can_be_worth_is_refused(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    file = tmp_path / "any.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PlanError, match=words):
        read_yaml(file)
