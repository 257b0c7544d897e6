from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_qbench.data.readers.json import read_objects
from pytest_qbench.errors import DataError
from tests.data.files import write

TWO = [{"a": 1}, {"b": [2, None], "c": "}{"}]


@pytest.mark.parametrize(
    "text",
    [
        '[{"a": 1}, {"b": [2, null], "c": "}{"}]',
        '{"a": 1}{"b": [2, null], "c": "}{"}',
        ' {"a": 1}\n{"b": [2, null], "c": "}{"}\n\n',
        '{"a": 1},\n{"b": [2, null], "c": "}{"},\n',
        '[{"a": 1}]{"b": [2, null], "c": "}{"}',
        '[{"a": 1}][{"b": [2, null], "c": "}{"}]',
        '\ufeff[{"a": 1}, {"b": [2, null], "c": "}{"}]',
    ],
)
def test_two_objects_are_read_in_any_notation(tmp_path: Path, text: str) -> None:
    assert read_objects(write(tmp_path / "f.json", text)) == TWO


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n\t", "is empty"),
        (b"[]", "holds no records"),
        (b'[{"a": 1}, {"a": ', "broken or truncated JSON at line 1 column 18"),
        (b'{"a": 1}\n{"a": 2', "line 2 column 8 after 1 whole records"),
        (b'[{"a": 1}, 7]', "record 2 is not an object but a int"),
        (b"null", "record 1 is not an object but a null"),
        (b'"text"', "record 1 is not an object but a str"),
        (b"[[{}]]", "record 1 is not an object but a list"),
        (b'[{"a": "\xff"}]', "byte 9 is not UTF-8"),
        ("[]".encode("utf-16"), "byte 1 is not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' * 100_000, "nested too deeply"),
        (b'[{"a": ' + b"9" * 5000 + b"}]", "record 1: Exceeds the limit"),
        (b"<html>404</html>", "broken or truncated JSON at line 1 column 1"),
    ],
)
def test_the_error_for_other_json_names_the_record(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_objects(write(tmp_path / "f.json", content), "data/f.json")
    assert str(caught.value).startswith("data/f.json: ")
    assert message in str(caught.value)
    assert ";" in str(caught.value)  # the remedy follows


def test_a_missing_file_and_a_folder_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_objects(tmp_path / "f.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_objects(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(), JSON, max_size=4), min_size=1, max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    objects=OBJECTS, separators=st.lists(st.sampled_from(["", "\n", " ", ",\n"]), min_size=8, max_size=8), ascii_=...
)
def test_objects_are_read_with_any_separators(
    tmp_path: Path, objects: list[dict[str, object]], separators: list[str], ascii_: bool
) -> None:
    texts = [json.dumps(one, ensure_ascii=ascii_) for one in objects]
    path = tmp_path / "f.json"
    path.write_bytes("".join(a + b for a, b in zip(texts, separators, strict=False)).encode("utf-8", "surrogatepass"))
    try:
        assert read_objects(path) == objects
    except DataError as e:  # a lone surrogate cannot be UTF-8
        assert "not UTF-8" in str(e)
        assert not ascii_
    write(path, json.dumps(objects))
    assert read_objects(path) == objects


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary() | st.text(alphabet='[]{}",: 1ae\\\n').map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    try:
        objects = read_objects(write(tmp_path / "f.json", content))
    except DataError as e:
        assert "\n" not in str(e)
    else:
        assert objects
        assert all(isinstance(one, dict) for one in objects)
