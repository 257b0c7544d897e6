"""The conditions under which records were made, and whether two runs can be compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_qbench import __version__, prompts
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import DEFAULT_PROMPTS, AnswerMode, PromptSet
from pytest_qbench.runs.asked_prompts import asked_prompts, describe_prompts
from pytest_qbench.scoring.score import DEFAULT, Scoring

# The conditions that must agree for a comparison, per task. Reports show the rest of a fingerprint.
COMPARABLE: Mapping[str, tuple[str, ...]] = {
    "perception": ("prompts", "answer", "answer_tokens", "blind", "unparsed", "marking", "pixels"),
    "description": ("prompts", "description_tokens", "blind", "judge", "judge_rounds", "pixels"),
    "assessment": ("prompts", "scoring", "blind", "pixels"),
}
# Fingerprints leave these out at their defaults, like those recorded before these options existed.
DEFAULTS: Mapping[str, int] = {name: prompts.MAX_NEW_TOKENS[task] for task, name in prompts.TOKEN_LIMITS.items()}


def token_limits(answer: str, max_new_tokens: Mapping[str, int]) -> dict[str, int]:
    """Return the token limits of a run that differ from the defaults; likelihoods have none."""
    limits = {prompts.TOKEN_LIMITS[task]: limit for task, limit in max_new_tokens.items()}
    if answer != "generate":
        del limits["answer_tokens"]
    return {name: limit for name, limit in limits.items() if limit != DEFAULTS[name]}


def fingerprint(
    *,
    answer: AnswerMode,
    blind: bool,
    judge: Mapping[str, Any] | None,
    judge_rounds: int,
    unparsed: bool = False,
    marking: bool = False,
    max_new_tokens: Mapping[str, int] = prompts.MAX_NEW_TOKENS,
    prompt_set: PromptSet | None = None,
    altered: Mapping[str, Mapping[str, Any]] | None = None,
    pixels: int | None = None,
    model: Mapping[str, Any],
    scoring: Scoring = DEFAULT,
    **run: Any,
) -> dict[str, Any]:
    """Return the fingerprint: first the conditions of a comparison, then those that reports show.

    `prompt_set` None is the packaged default; `altered` says how the project changed its prompts.
    """
    return {
        "prompts": describe_prompts(prompt_set or packaged_set(DEFAULT_PROMPTS), answer, altered),
        "answer": answer,
        "scoring": scoring.describe(),
        "blind": blind,
        **({"pixels": pixels} if pixels is not None else {}),
        "judge": dict(judge) if judge else None,
        "judge_rounds": judge_rounds if judge else None,
        **({"unparsed": dict(judge or {})} if unparsed else {}),
        **({"marking": dict(judge or {})} if marking else {}),
        **token_limits(answer, max_new_tokens),
        "pytest_qbench": __version__,
        "model": dict(model),
        **run,
    }


def differences(task: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name each condition of `task` that differs, as ``key: old -> new``; empty when the two are comparable."""
    found = []
    for key in COMPARABLE[task]:
        if key == "prompts":
            (a, text), (b, new_text) = (asked_prompts(task, side) for side in (old, new))
            found += [f'prompts: "{text}" -> "{new_text}"'] if a != b else []
            continue
        before, after = (side.get(key, DEFAULTS.get(key)) for side in (old, new))
        found += [f"{key}: {before} -> {after}"] if before != after else []
    return found


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
