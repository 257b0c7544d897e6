"""`Fingerprint`, the conditions of a run, and the rule by which two runs are comparable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from pytest_qbench import __version__, prompts
from pytest_qbench.metrics.prompt_fingerprint import PROMPTS, describe_prompts, effective_prompts
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import AnswerMode, PromptSet
from pytest_qbench.scoring.score import DEFAULT, Scoring
from pytest_qbench.untrusted.shape import MappingOf, Maybe, Shape, check_shape

# Conditions that must be equal for a comparison, per task. The other conditions only appear in reports.
COMPARABLE: Mapping[str, tuple[str, ...]] = {
    "perception": ("prompts", "answer", "answer_tokens", "blind", "option_order", "unparsed", "marking", "pixels"),
    "description": ("prompts", "description_tokens", "blind", "judge", "judge_rounds", "pixels"),
    "assessment": ("prompts", "scoring", "blind", "pixels"),
}
# A fingerprint leaves these out if they have their defaults, like fingerprints older than these options.
DEFAULTS: Mapping[str, int] = {name: prompts.MAX_NEW_TOKENS[task] for task, name in prompts.TOKEN_LIMITS.items()}
# The JSON leaves these entries out if they are unknown. Other unknown entries are null.
_OPTIONAL = (
    "option_order",
    "repeats",
    "pixels",
    "unparsed",
    "marking",
    *DEFAULTS,
    "machine",
    "judge_control",
    "batch_size",
)
_UNSTATED: Mapping[str, int | str] = {**DEFAULTS, "option_order": "of the data"}
_SCORING: Shape = {"words": [str], "temperature": float}
_SELECTION: Shape = {
    "datasets": Maybe([str]), "tasks": Maybe([str]), "split": Maybe(str), "limit": Maybe(int), "seed": Maybe(int),
    "shard": Maybe([int]), "limit_by": Maybe(str),
}  # fmt: skip
CONTROL: Shape = {"scores": MappingOf(MappingOf([(float, None)])), "failed": Maybe(str)}
_SHAPE: Shape = {
    "prompts": Maybe((str, PROMPTS)), "answer": Maybe(str), "scoring": Maybe(_SCORING), "blind": Maybe(bool),
    "option_order": Maybe(str),
    "pixels": Maybe(int), "judge": Maybe(dict), "judge_rounds": Maybe(int), "unparsed": Maybe(dict),
    "marking": Maybe(dict), **{name: Maybe(int) for name in DEFAULTS}, "pytest_qbench": Maybe(str),
    "model": Maybe(dict), "data": Maybe(str), "selection": Maybe(_SELECTION), "machine": Maybe(str),
    "judge_control": Maybe(CONTROL), "batch_size": Maybe(int), "repeats": Maybe(int),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Selection:
    """Options that select items from the data. None means all items, and "not known" for `seed` and `split`."""

    datasets: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    split: str | None = None
    limit: int | None = None
    seed: int | None = None
    shard: tuple[int, int] | None = None
    limit_by: str | None = None

    @property
    def is_narrowed(self) -> bool:
        """Whether options select a part of the data. The split does not count."""
        return bool(self.limit or self.datasets)

    def to_json(self) -> dict[str, Any]:
        """Return plain values. Tasks, shard and `limit_by` are left out if the run has none."""
        return {
            "datasets": list(self.datasets) if self.datasets else None,
            **({"tasks": list(self.tasks)} if self.tasks else {}),
            "split": self.split,
            "limit": self.limit,
            "seed": self.seed,
            **({"shard": list(self.shard)} if self.shard else {}),
            **({"limit_by": self.limit_by} if self.limit_by else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Selection:
        """Return the selection of an entry. Raises `ValueError` for a wrong shape."""
        check_shape(data, _SELECTION, "selection")
        datasets, tasks, shard = (data.get(name) for name in ("datasets", "tasks", "shard"))
        if shard and len(shard) != 2:
            raise ValueError(f"selection.shard is {shard}")
        return cls(
            tuple(datasets) if datasets else None, tuple(tasks) if tasks else None, data.get("split"),
            data.get("limit"), data.get("seed"), (shard[0], shard[1]) if shard else None,
            data.get("limit_by"),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class JudgeControl:
    """A judge's result on its control set: mean verdicts by kind and text. `failed` is the reason of a failure."""

    scores: Mapping[str, Mapping[str, Sequence[float | None]]]
    failed: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"scores": {kind: dict(texts) for kind, texts in self.scores.items()}, "failed": self.failed}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> JudgeControl:
        """Return the value of an entry. Raises `ValueError` for a wrong shape."""
        check_shape(data, CONTROL, "judge_control")
        return cls(data["scores"], data.get("failed"))


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The conditions of a run. Those of `COMPARABLE` come first, then those that only reports show. None: not known.

    `asked` describes how the prompts of an assessment differ from the protocol. In the JSON it is a part of `scoring`.
    `model`, `judge`, `unparsed` (the judge that reads unparsed replies) and `marking` (the judge that marks all) are
    the descriptions that these objects give of themselves. `prompts` describes the prompts of each task
    (`effective_prompts`). `repeats` is how often each item was asked, None for once. `option_order` is None where
    options have the order of the data. `other` holds entries that this version does not know.
    """

    prompts: str | Mapping[str, Any] | None = None
    answer: str | None = None
    scoring: Scoring | None = None
    blind: bool | None = None
    option_order: str | None = None
    pixels: int | None = None
    judge: Mapping[str, Any] | None = None
    judge_rounds: int | None = None
    unparsed: Mapping[str, Any] | None = None
    marking: Mapping[str, Any] | None = None
    answer_tokens: int | None = None
    description_tokens: int | None = None
    pytest_qbench: str | None = None
    model: Mapping[str, Any] | None = None
    data: str | None = None
    selection: Selection | None = None
    machine: str | None = None
    judge_control: JudgeControl | None = None
    batch_size: int | None = None
    repeats: int | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model_name(self) -> str | None:
        """Name of the model, None if it is not known."""
        return (self.model or {}).get("name")

    @property
    def judge_name(self) -> str | None:
        """Name of the judge, None if the run has no judge."""
        return (self.judge or {}).get("name")

    @property
    def control(self) -> str | None:
        """What makes the run a control that no gate judges: "blind", "shuffled options" or both; None otherwise."""
        found = [name for name, is_on in (("blind", self.blind), ("shuffled options", self.option_order)) if is_on]
        return " and ".join(found) or None

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the quality score, from good to poor."""
        return (self.scoring or DEFAULT).words

    @property
    def is_narrowed(self) -> bool:
        """Whether options selected a part of the data. The split does not count."""
        return self.selection is not None and self.selection.is_narrowed

    def with_conditions(self, conditions: Mapping[str, Any]) -> Fingerprint:
        """Return the fingerprint with the model's `conditions` in place of its own entries.

        Raises `ValueError` for a wrong condition.
        """
        return Fingerprint.from_json({**self.to_json(), **conditions})

    def to_json(self) -> dict[str, Any]:
        """Return the entry of `summary.json` and `baseline.yaml`."""
        found: dict[str, Any] = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("asked", "other")
        }
        if self.scoring is not None:
            found["scoring"] = {**self.scoring.to_json(), **self.asked}
        for name in ("selection", "judge_control"):
            if found[name] is not None:
                found[name] = found[name].to_json()
        for name in ("judge", "unparsed", "marking", "model"):
            if found[name] is not None:
                found[name] = dict(found[name])
        return {k: v for k, v in found.items() if v is not None or k not in _OPTIONAL} | dict(self.other)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fingerprint:
        """Return the fingerprint of an entry. Raises `ValueError` for a wrong shape."""
        check_shape(data, _SHAPE, "fingerprint")
        found: dict[str, Any] = {f.name: data.get(f.name) for f in fields(cls) if f.name in _SHAPE}
        if scoring := found["scoring"]:
            found["scoring"] = Scoring.from_json(scoring)
            found["asked"] = {key: value for key, value in scoring.items() if key not in Scoring.KEYS}
        if found["selection"] is not None:
            found["selection"] = Selection.from_json(found["selection"])
        if found["judge_control"] is not None:
            found["judge_control"] = JudgeControl.from_json(found["judge_control"])
        return cls(**found, other={key: value for key, value in data.items() if key not in _SHAPE})


def token_limits(answer: str, max_new_tokens: Mapping[str, int]) -> dict[str, int]:
    """Return the token limits of a run that differ from the defaults. Answers by likelihood have no limit."""
    limits = {prompts.TOKEN_LIMITS[task]: limit for task, limit in max_new_tokens.items()}
    if answer != "generate":
        del limits["answer_tokens"]
    return {name: limit for name, limit in limits.items() if limit != DEFAULTS[name]}


def fingerprint(
    *,
    answer: AnswerMode,
    blind: bool,
    option_order: str | None = None,
    judge: Mapping[str, Any] | None,
    judge_rounds: int,
    unparsed: bool = False,
    marking: bool = False,
    prompt_set: PromptSet | None = None,
    altered: Mapping[str, Mapping[str, Any]] | None = None,
    max_new_tokens: Mapping[str, int] = prompts.MAX_NEW_TOKENS,
    pixels: int,
    model: Mapping[str, Any],
    scoring: Scoring = DEFAULT,
    data: str | None = None,
    selection: Selection | None = None,
    machine: str | None = None,
    judge_control: Mapping[str, Any] | None = None,
    batch_size: int | None = None,
    repeats: int = 1,
) -> Fingerprint:
    """Return the fingerprint of a run of this version.

    `prompt_set` None is the packaged default; `altered` says how the project changed its prompts.
    """
    limits = token_limits(answer, max_new_tokens)
    return Fingerprint(
        prompts=describe_prompts(prompt_set or packaged_set(prompts.DEFAULT_PROMPTS), answer, altered),
        answer=answer,
        scoring=scoring,
        blind=blind,
        option_order=option_order,
        pixels=pixels,
        judge=judge or None,
        judge_rounds=judge_rounds if judge else None,
        unparsed=(judge or {}) if unparsed else None,
        marking=(judge or {}) if marking else None,
        answer_tokens=limits.get("answer_tokens"),
        description_tokens=limits.get("description_tokens"),
        pytest_qbench=__version__,
        model=model,
        data=data,
        selection=selection,
        machine=machine,
        judge_control=None if judge_control is None else JudgeControl.from_json(judge_control),
        batch_size=batch_size,
        repeats=repeats if repeats > 1 else None,
    )


def differences(task: str, old: Fingerprint, new: Fingerprint) -> list[str]:
    """Return each condition of `task` that differs, as ``key: old -> new``; empty if the two are comparable."""
    entries = [fingerprint.to_json() for fingerprint in (old, new)]
    found = []
    for key in COMPARABLE[task]:
        if key == "prompts":
            before, text = effective_prompts(task, old.prompts, old.answer)
            after, new_text = effective_prompts(task, new.prompts, new.answer)
            found += [f'prompts: "{text}" -> "{new_text}"'] if before != after else []
        else:
            before, after = (entry.get(key, _UNSTATED.get(key)) for entry in entries)
            found += [f"{key}: {before} -> {after}"] if before != after else []
    return found


def other_differences(old: Fingerprint, new: Fingerprint) -> list[str]:
    """Return each other condition that differs, as ``model.dtype: float32 -> bfloat16``.

    These allow a comparison, but may explain drift.
    """
    a, b = ({**_unstated_of_endpoint(each), **flat_entries(each.to_json())} for each in (old, new))
    forbidding = {key for keys in COMPARABLE.values() for key in keys} | {"selection", "judge_control", "repeats"}
    keys = [key for key in dict.fromkeys((*a, *b)) if key.partition(".")[0] not in forbidding]
    return [f"{key}: {a.get(key)} -> {b.get(key)}" for key in keys if a.get(key) != b.get(key)]


def _unstated_of_endpoint(fingerprint: Fingerprint) -> dict[str, Any]:
    """Return what an endpoint's fingerprint leaves out because it was always so: every image was sent as a PNG."""
    return {"model.images": "png"} if (fingerprint.model or {}).get("backend") == "openai" else {}


def flat_entries(entries: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested entries as one mapping, whose keys join the names with dots."""
    flat: dict[str, Any] = {}
    for key, value in entries.items():
        flat |= flat_entries(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
