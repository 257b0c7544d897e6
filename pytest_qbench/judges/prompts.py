"""Read the judge's prompts: a packaged set, or the user's own from a file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pytest_qbench.errors import UsageError
from pytest_qbench.untrusted.parsing import read_yaml

PACKAGED = Path(__file__).with_name("prompts.yaml")
SETS: Mapping[str, Path] = {"default": PACKAGED, "paper": Path(__file__).with_name("paper.yaml")}
# Fields that each prompt must contain.
FIELDS: Mapping[str, frozenset[str]] = {
    "completeness": frozenset({"golden", "description"}),
    "preciseness": frozenset({"golden", "description"}),
    "relevance": frozenset({"description"}),
    "score": frozenset(),
    "digit": frozenset(),
    "choice": frozenset({"options", "reply"}),
    "correct": frozenset({"answer", "reply"}),
    "system": frozenset(),
}
_KNOWN = ("golden", "description", "question", "options", "answer", "reply")


def read_prompts(named: Path | str | None) -> dict[str, str]:
    """Return the prompts by name. Those of a packaged set or of a file replace the default ones.

    Raises `UsageError` with set or file and key.
    """
    default = _default()
    if named is None:
        return dict(default)
    if isinstance(named, str):
        if named not in SETS:
            raise UsageError(
                f"--qbench-judge-prompts={named}: no such prompts; use {', '.join(SETS)} or the path of a YAML file"
            )
        named = SETS[named]
    return {**default, **_read(named)}


@cache
def _default() -> dict[str, str]:
    return _read(PACKAGED)


def digest(texts: Mapping[str, str]) -> str:
    """Return a hash of all prompts, 16 hex digits. Verdicts are comparable only under equal prompts.

    The default `correct` is left out, so that verdicts from before there was one are comparable.
    """
    texts = {key: text for key, text in texts.items() if key != "correct" or text != _default()["correct"]}
    return hashlib.sha256(json.dumps(texts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:16]


def fill(text: str, fields: Mapping[str, str]) -> str:
    """Return a prompt with its fields filled in, in one pass, so that braces inside a description stay unchanged."""
    return re.sub(r"\{(\w+)\}", lambda found: fields.get(found[1], found[0]), text)


def _read(path: Path) -> dict[str, str]:
    where = f"--qbench-judge-prompts={path}"
    found = read_yaml(path, label=where)
    if not isinstance(found, dict) or not found:
        raise UsageError(f"{where}: no prompts; use some of the keys {', '.join(FIELDS)}")
    for name, text in found.items():
        if name not in FIELDS:
            raise UsageError(f"{where}: no prompt is called {name!r}; use {', '.join(FIELDS)}")
        if not isinstance(text, str) or not text.strip():
            raise UsageError(f"{where}: {name} is not a text")
        named = set(re.findall(r"\{(\w+)\}", text)) & set(_KNOWN)
        if missing := FIELDS[name] - named:
            raise UsageError(f"{where}: {name} lacks {', '.join(f'{{{field}}}' for field in sorted(missing))}")
    return found
