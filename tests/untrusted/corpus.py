"""Damaged and hostile file contents, on which every reader is tested."""

from __future__ import annotations

#: Texts that are not strict JSON.
BAD_JSON = (
    b"", b" ", b"{", b"[1, 2", b'{"a": ', b'{"a": 1}}', b"nul", b"NaN", b"-Infinity", b"[1e999]", b"\xff\xfe{}", b'{"a": "\xc3("}',
    '{"a": 1}'.encode("utf-16"), b"[" * 100_000, b'{"a":' * 100_000, b'{"schema": 1, "schema": 1}', b"9" * 5000,
    b'["\\ud800"]', b"\0", b"<html>404</html>", b"version https://git-lfs.github.com/spec/v1\n",
    b'{"a": ' + b"[" * 70 + b"]" * 70 + b"}",
)  # fmt: skip
#: JSON of a wrong type, for readers that expect an object with certain keys.
WRONG_JSON = (b"null", b"7", b"true", b'"text"', b"[]", b"[[]]", b"{}", b'{"schema": 1}', b'{"schema": "1"}')
#: YAML on which PyYAML is too slow, fails, or returns a surprising value.
BAD_YAML = (
    "[", "a: b: c", "x: 2020-13-45", "!!bool 7", "!!int ''", "!!timestamp x", "!!python/object:os.system {}",
    "a: 1\na: 2", "{a: {b: 1, b: 2}}", "*nowhere", "&a [*a]", "? [1]\n: 2", "? {a: 1}\n: 2", "[" * 3000, "{a: " * 3000, "- " * 3000,
    "a: &a [" + "x," * 99 + "]\n" + "".join(f"{c}: &{c} [{','.join(['*' + p] * 99)}]\n" for p, c in zip("abcdef", "bcdefg", strict=True)),
    "\t- a", "\x07", "a: \ud800", "%YAML 9.9\n---\na", "<<: 1", "!!set {a: 1}\n x",
)  # fmt: skip
