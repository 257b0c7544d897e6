"""Under which conditions records were made, and whether two runs may be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_qbench import __version__, prompts
from pytest_qbench.scoring.score import DEFAULT, Scoring

# What must agree for a comparison, per task. Everything else in a fingerprint is reported only.
COMPARABLE: Mapping[str, tuple[str, ...]] = {
    "perception": ("prompts", "answer", "blind", "unparsed"),
    "description": ("prompts", "blind", "judge", "judge_rounds"),
    "assessment": ("prompts", "scoring", "blind"),
}


def fingerprint(
    *,
    answer: str,
    blind: bool,
    judge: Mapping[str, Any] | None,
    judge_rounds: int,
    unparsed: bool = False,
    model: Mapping[str, Any],
    scoring: Scoring = DEFAULT,
    **run: Any,
) -> dict[str, Any]:
    """Return the fingerprint: the comparable conditions first, then what is only reported."""
    return {
        "prompts": prompts.fingerprint(),
        "answer": answer,
        "scoring": scoring.describe(),
        "blind": blind,
        "judge": dict(judge) if judge else None,
        "judge_rounds": judge_rounds if judge else None,
        **({"unparsed": dict(judge or {})} if unparsed else {}),
        "pytest_qbench": __version__,
        "model": dict(model),
        **run,
    }


def differences(task: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name each condition of `task` that differs, as ``key: old -> new``; empty when the two are comparable."""
    return [f"{key}: {old.get(key)} -> {new.get(key)}" for key in COMPARABLE[task] if old.get(key) != new.get(key)]


def is_narrowed(fingerprint: Mapping[str, Any]) -> bool:
    """Tell whether options selected a part of the data, other than the split."""
    selection = fingerprint.get("selection") or {}
    return bool(selection.get("limit") or selection.get("datasets"))


def reported(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name what else differs, as ``model.dtype: float32 -> bfloat16``: it forbids no comparison, but explains drift."""
    a, b = _flat(old), _flat(new)
    forbidding = {key for keys in COMPARABLE.values() for key in keys} | {"selection", "judge_control"}
    keys = [key for key in dict.fromkeys((*a, *b)) if key.partition(".")[0] not in forbidding]
    return [f"{key}: {a.get(key)} -> {b.get(key)}" for key in keys if a.get(key) != b.get(key)]


def _flat(fingerprint: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in fingerprint.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
