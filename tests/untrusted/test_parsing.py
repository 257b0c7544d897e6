"""Strict JSON and YAML: the parsers return a value or raise an error of one line."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_qbench.untrusted.parsing import DEPTH, parse_json, parse_yaml
from pytest_qbench.untrusted.shape import MappingOf, check_shape
from tests.untrusted.corpus import BAD_JSON, BAD_YAML

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES)
def test_json_survives_a_round_trip(value: Any) -> None:
    try:
        text = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        with pytest.raises(ValueError, match="surrogate"):
            parse_json(json.dumps(value))
    else:
        assert parse_json(text) == value
        assert parse_json(json.dumps(value)) == value


@given(st.from_regex(r"-?[1-9][0-9]{0,310}(\.[0-9]{1,9})?([eE][+-]?[0-9]{1,4})?", fullmatch=True))
@example("1e309")
@example("1E0309")
@example("9" * 300 + "e+20")
@example("1e-400")
def test_a_number_is_finite_or_an_error(number: str) -> None:
    value = json.loads(number)
    for text, expected in ((number, value), (f'{{"a": [{number}, "e000"]}}', {"a": [value, "e000"]})):
        if math.isfinite(value):
            assert parse_json(text) == expected
        else:
            with pytest.raises(ValueError, match="no finite number"):
                parse_json(text)


@pytest.mark.parametrize("content", BAD_JSON, ids=lambda c: repr(c[:30]))
def test_bad_json_is_an_error_of_one_line(content: bytes) -> None:
    with pytest.raises(ValueError, match=".") as caught:
        parse_json(content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", BAD_YAML, ids=lambda c: repr(c[:30]))
def test_bad_yaml_is_an_error_of_one_line(content: str) -> None:
    with pytest.raises(ValueError, match=".") as caught:
        parse_yaml(content)
    assert "\n" not in str(caught.value)


@given(st.binary() | st.text(alphabet='[]{}",: 1aeN-\\u\n').map(str.encode))
def test_no_bytes_escape_the_parsers(content: bytes) -> None:
    for parse in (parse_json, lambda data: parse_yaml(data.decode("utf-8"))):
        try:
            value = parse(content)
        except ValueError as e:
            assert "\n" not in str(e) or isinstance(e, UnicodeDecodeError)
        else:
            assert not isinstance(value, float) or parse is not parse_json or math.isfinite(value)


@given(VALUES)
def test_yaml_survives_a_round_trip(value: Any) -> None:
    text = yaml.safe_dump({"value": value}, allow_unicode=False)
    assert parse_yaml(text) == yaml.safe_load(text)


def test_the_limit_of_depth_is_exact() -> None:
    for depth in (DEPTH, DEPTH + 1):
        for parse, text in ((parse_json, "[" * depth + "1" + "]" * depth), (parse_yaml, "[" * depth + "1" + "]" * depth)):  # fmt: skip
            if depth == DEPTH:
                parse(text)
            else:
                with pytest.raises(ValueError, match="nested deeper than 64 levels"):
                    parse(text)


def test_aliases_and_merges_are_fine_in_small_numbers() -> None:
    assert parse_yaml("a: &x {k: 1}\nb: *x\nc: {<<: *x, k: 2}") == {"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 2}}


@pytest.mark.parametrize(
    "shape, good, bad", [
        (int, 1, [True, 1.0, "1", None]), (float, 1.5, [True, "1", None]), (str, "", [None, 1, []]),
        ((str, None), None, [1, False]), ([int], [1, 2], [{}, [1, "2"], None]),
        ({"a": int}, {"a": 1, "more": None}, [{}, {"a": None}, []]), (MappingOf(str), {"x": "y"}, [{"x": 1}, []]),
    ],
)  # fmt: skip
def test_shapes(shape: Any, good: object, bad: list[object]) -> None:
    check_shape(good, shape)
    for value in bad:
        with pytest.raises(ValueError, match=" is "):
            check_shape(value, shape, "it")
