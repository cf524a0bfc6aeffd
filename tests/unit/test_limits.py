"""JSON from outside: what is accepted, and what is refused before it costs resources."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.models.json_limits import DEPTH, VALUES, OverLimitError, read_json


def nested(levels: int, innermost: Any = 0) -> Any:
    """A value with this many levels, alternating objects and lists."""
    value = innermost
    for level in range(levels - 1):
        value = [value] if level % 2 else {"a": value}
    return value


# The limits


def test_reads_what_is_as_deep_as_the_limit() -> None:
    value = nested(DEPTH)
    assert read_json(json.dumps(value).encode()) == value


@pytest.mark.parametrize("innermost", [0, [], {}, "x"], ids=repr)
def test_refuses_what_is_one_level_deeper(innermost: Any) -> None:
    with pytest.raises(OverLimitError, match=f"more than {DEPTH} levels deep"):
        read_json(json.dumps(nested(DEPTH + 1, innermost)).encode())


def test_counts_the_deepest_branch_wherever_it_is() -> None:
    with pytest.raises(OverLimitError, match="levels deep"):
        read_json(json.dumps([0, {"a": 1}, nested(DEPTH), [2]]).encode())


@pytest.mark.parametrize("shape", ["list", "object", "both"])
def test_reads_as_many_values_as_the_limit_and_not_one_more(shape: str) -> None:
    """A container counts as a value itself."""

    def holding(values: int) -> bytes:
        if shape == "list":
            data: Any = [0] * (values - 1)
        elif shape == "object":
            data = {str(number): 0 for number in range(values - 1)}
        else:
            data = [{"a": [0] * (values // 2)}, *[0] * (values - values // 2 - 3)]
        return json.dumps(data).encode()

    assert read_json(holding(VALUES)) == json.loads(holding(VALUES))
    with pytest.raises(OverLimitError, match=f"more than {VALUES} values"):
        read_json(holding(VALUES + 1))


@pytest.mark.parametrize(
    "bomb", [b"[" * 200_000, b'{"a":' * 200_000, b"[" * 200_000 + b"]" * 200_000], ids=lambda b: repr(b[:5])
)
def test_refuses_what_is_too_deep_to_be_read_at_all(bomb: bytes) -> None:
    with pytest.raises(ValueError):
        read_json(bomb)


# Invalid JSON


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("place", ["{}", "[1, {}]", '{{"a": {{"b": {}}}}}'])
def test_refuses_numbers_that_json_does_not_have(place: str, word: str) -> None:
    with pytest.raises(ValueError, match=f"{word} is not JSON"):
        read_json(place.format(word).encode())


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1, "a": 1}',
        '{"a": 1, "b": 2, "a": null}',
        '[{"a": {"b": 1, "b": 2}}]',
        '{"a": 1, "\\u0061": 2}',
        '{"": 1, "": 2}',
    ],
)
def test_refuses_a_key_that_is_given_twice(text: str) -> None:
    """Two parsers would disagree on which of them counts."""
    with pytest.raises(ValueError, match="a duplicate key is present"):
        read_json(text.encode())


def test_the_same_key_in_two_objects_is_no_repetition() -> None:
    assert read_json(b'[{"a": 1}, {"a": {"a": 2}}, {"A": 3}]') == [{"a": 1}, {"a": {"a": 2}}, {"A": 3}]


@pytest.mark.parametrize("sign", ["", "-"])
def test_refuses_a_number_that_takes_long_to_read(sign: str) -> None:
    """The time to read a whole number grows with the square of its length."""
    with pytest.raises(ValueError):
        read_json(f'{{"a": {sign}{"9" * 60_000}}}'.encode())


@pytest.mark.parametrize("raw", [b"\xff", b'"\xff"', b'{"a": "\xc3"}', b'"\xe9"', b'{"\x80": 1}'], ids=repr)
def test_refuses_what_is_not_utf_8(raw: bytes) -> None:
    with pytest.raises(ValueError):
        read_json(raw)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{oops",
        "{'a': 1}",
        '{"a": 1,}',
        "[1,]",
        "01",
        "+1",
        "1 2",
        '{"a": 1} {}',
        '"a',
        '"\x00"',
        "// x\n1",
        "None",
    ],
    ids=repr,
)
def test_refuses_what_is_not_json(text: str) -> None:
    with pytest.raises(ValueError):
        read_json(text.encode())


def test_tells_json_that_is_too_big_from_what_is_no_json() -> None:
    """The first is answered 422, the second 400."""
    for raw in (b"{oops", b"NaN", b'{"a": 1, "a": 1}', b"\xff"):
        with pytest.raises(ValueError) as refused:
            read_json(raw)
        assert not isinstance(refused.value, OverLimitError)


# Values within the limits are read unchanged


SIMPLE = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ANYTHING = st.recursive(SIMPLE, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=40)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + max(map(depth, inner), default=0)


@given(ANYTHING.filter(lambda value: depth(value) <= DEPTH), st.booleans(), st.sampled_from([None, 2]))
def test_every_value_within_the_limits_is_read_as_it_was_written(value: Any, escaped: bool, indent: int | None) -> None:
    """By their spelling too, since 1, 1.0 and True are equal."""
    found = read_json(json.dumps(value, ensure_ascii=escaped, indent=indent).encode())
    assert (found, repr(found)) == (value, repr(value))
