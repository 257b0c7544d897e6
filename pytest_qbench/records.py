"""`Record`, the result of one item, and its JSON: one line of `records.jsonl`."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from pytest_qbench.errors import UsageError
from pytest_qbench.items import TASKS, Item, Task
from pytest_qbench.untrusted.files import LARGE, read_text
from pytest_qbench.untrusted.parsing import parse_json
from pytest_qbench.untrusted.shape import short_repr
from pytest_qbench.untrusted.sharing import share_mapping, share_texts

SCHEMA = 1
CUT = "length"  # finish reason of a reply that was cut off at the token limit
Status = Literal["correct", "wrong", "unparsed", "measured", "error"]
_STATUSES: Mapping[str, tuple[str, ...]] = {
    "perception": ("correct", "wrong", "unparsed", "measured", "error"),
    "description": ("measured", "error"),
    "assessment": ("measured", "error"),
}
RECORDS = "records.jsonl"
_MAX = sys.float_info.max
_LATER = ("finish", "picture", "conditions", "tokens", "repeats", "probability")  # fields that older records lack
_TEXTS = (
    "item", "task", "dataset", "split", "group", "status", "response", "choice", "target", "picture", "conditions",
)  # fmt: skip
# The fields of one outcome of an item that was asked several times.
_OUTCOME = ("status", "response", "choice", "score", "logprobs", "judge", "error", "finish", "tokens")
MOST = 2  # a judge's best grade in each dimension
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode  # built once: `json.dumps` builds one per call


@dataclass(frozen=True, slots=True)
class Record:
    """The result of one item. `choice` and `target` of a perception item are option texts.

    - `response` is the text as the model returned it, reasoning included.
    - `finish` is `CUT` if the token limit cut the text off, None if the text is complete or this is unknown.
    - `logprobs` are natural logarithms: per option text (perception by likelihood) or per quality word (assessment).
    - `tokens` are the numbers of tokens behind the `logprobs` of options, where the model tells them. By likelihood
      `logprobs` are sums over the option's tokens, by perplexity means over those of the prompt and the option.
    - `score` is the quality score, in [0, 1] unless it was computed elsewhere.
    - `judge` maps each dimension to one verdict per round: 0, 1 or 2. A judge that returns expectations gives numbers
      between them. None is an unreadable verdict. For a perception item, ``choice`` holds a judge's votes on a reply
      that extraction left unparsed, as positions of options, and ``correct`` those on whether a reply is right.
    - `error` is the reason of an error, or the reason why a measured item has no readable verdict.
    - `picture` is the hash of the images that the model saw, `conditions` that of the conditions of its task (see
      `runs.conditions`). They are None if unknown, as in records of earlier versions.
    - `repeats` are all outcomes of an item that was asked several times, in the order of the passes. The record itself
      is then the first of its most frequent outcome, with the mean of the scores (see `repeated`).
    - `probability` is that with which the item was drawn into a sample of unequal probabilities, None for others.
    """

    item: str
    task: Task
    dataset: str
    split: str | None
    group: str
    status: Status
    response: str | None = None
    choice: str | None = None
    target: str | float | None = None
    score: float | None = None
    logprobs: Mapping[str, float] | None = None
    judge: Mapping[str, Sequence[float | None]] | None = None
    error: str | None = None
    slices: Mapping[str, str] = field(default_factory=dict)
    finish: str | None = None
    picture: str | None = None
    conditions: str | None = None
    tokens: Mapping[str, int] | None = None
    repeats: tuple[Record, ...] | None = None
    probability: float | None = None

    @property
    def weight(self) -> float:
        """The number of items that this one stands for in a sample: the inverse of its probability, else 1."""
        return 1.0 if self.probability is None else 1 / self.probability

    @property
    def outcomes(self) -> tuple[Record, ...]:
        """The outcomes of all passes; the record itself if the item was asked once."""
        return self.repeats or (self,)

    @classmethod
    def of(cls, item: Item, status: Status, **result: Any) -> Record:
        """Return the record of `item` with the measured fields `result`."""
        target = item.answer if item.task == "perception" else item.target
        return cls(item.id, item.task, item.dataset, item.split, item.group, status, target=target,
                   slices=item.slices, probability=item.probability, **result)  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values.

        The fields `_LATER` are left out if they are None, because older records lack them. Values are not copied:
        `dataclasses.asdict` would double the time per item.
        """
        fields = {name: getattr(self, name) for name in self.__slots__}
        for name in _LATER:
            if fields[name] is None:
                del fields[name]
        if self.repeats is not None:
            fields["repeats"] = [
                {name: value for name in _OUTCOME if (value := getattr(one, name)) is not None} for one in self.repeats
            ]
        return fields

    def to_json(self) -> str:
        """Return one line of `records.jsonl`. Floats round-trip exactly; NaN raises `ValueError`."""
        return encode({"schema": SCHEMA, **self.to_dict()})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], place: str) -> Record:
        """Return the record of one parsed line. `place` names the line in errors."""
        if not isinstance(data, Mapping):
            raise UsageError(f"{place}: not a record: no JSON object but {short_repr(data)}")
        if data.get("schema") != SCHEMA:
            raise UsageError(f"{place}: schema {data.get('schema')!r} is not {SCHEMA}; written by another version?")
        fields = dict(data)
        del fields["schema"]
        share_texts(fields, _TEXTS)
        share_mapping(fields, "slices")
        share_mapping(fields, "logprobs")
        try:
            repeats = fields.pop("repeats", None)
            record = cls(**fields)
            if repeats is not None:
                record = replace(record, repeats=tuple(_outcome(record, one) for one in repeats))
            check_record(record)
        except (TypeError, ValueError) as e:
            raise UsageError(f"{place}: not a record: {e}") from e
        return record


def read_records(path: Path) -> list[Record]:
    """Return the records of a `records.jsonl` file.

    An incomplete last line, as a crash leaves it, is dropped. Any other broken line raises `UsageError`.
    """
    records = []
    lines = read_text(path, LARGE, remedy="restore the file or run again").split("\n")
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            data = parse_json(line)
        except ValueError as e:
            if number == len(lines) and isinstance(e, json.JSONDecodeError):
                break
            raise UsageError(f"{path}:{number}: not JSON: {e}") from e
        records.append(Record.from_dict(data, f"{path}:{number}"))
    return records


def _outcome(record: Record, fields: object) -> Record:
    """Return one outcome of `record` from its fields. Raises `ValueError` for other fields."""
    if not isinstance(fields, Mapping) or not {"status"} <= fields.keys() <= set(_OUTCOME):
        raise ValueError(f"an outcome of repeats is {short_repr(fields)}")
    empty: dict[str, Any] = dict.fromkeys((*_OUTCOME, "picture", "conditions", "repeats"))
    return replace(record, **{**empty, **fields})


def repeated(outcomes: Sequence[Record]) -> Record:
    """Return the record of an item from its outcomes in all passes, each without repeats of its own.

    If a pass ended in an error, so did the item: that record is returned, and a resumed run asks again. One outcome is
    the record of an item that was asked once.
    """
    if failed := [one for one in outcomes if one.status == "error"]:
        return failed[0]
    if len(outcomes) == 1:
        return outcomes[0]
    kinds = Counter((one.status, one.choice) for one in outcomes)
    most = max(kinds.values())
    typical = next(one for one in outcomes if kinds[one.status, one.choice] == most)
    scores = [one.score for one in outcomes if one.score is not None]
    score = fmean(scores) if len(scores) == len(outcomes) else typical.score
    bare = tuple(replace(one, picture=None, conditions=None) for one in outcomes)
    return replace(typical, score=score, repeats=bare)


Key = tuple[str, str]  # task and id of an item


@dataclass(frozen=True, slots=True)
class Response:
    """A model's output for one item: generated text, or natural log-probabilities per option text or word.

    `finish` is `CUT` if the token limit cut the text off. `score` is a quality score that was computed elsewhere, with
    greater values for better quality. `tokens` are the numbers of tokens behind the log-probabilities of options.
    """

    text: str | None = None
    logprobs: Mapping[str, float] | None = None
    finish: str | None = None
    score: float | None = None
    tokens: Mapping[str, int] | None = None


def error_kind(error: str, item: str) -> str:
    """Return the kind of an error: its text without the item's id and with 0 for every number."""
    return re.sub(r"\d+", "0", error.replace(item, ""))


def check_record(record: Record) -> None:
    """Raise `ValueError`, naming the first field with a wrong type or a value out of range."""
    if record.task not in TASKS:
        raise ValueError(f"task is {short_repr(record.task)}, not one of {', '.join(TASKS)}")
    if record.status not in _STATUSES[record.task]:
        raise ValueError(f"status is {short_repr(record.status)}, not one of {', '.join(_STATUSES[record.task])}")
    for name in ("item", "dataset", "group"):
        if not isinstance(value := getattr(record, name), str):
            raise ValueError(f"{name} is {short_repr(value)}, not a text")
    for name in ("split", "response", "choice", "error", "picture", "conditions"):
        if (value := getattr(record, name)) is not None and not isinstance(value, str):
            raise ValueError(f"{name} is {short_repr(value)}, not a text")
    target = record.target
    if not (target is None or (isinstance(target, str) if record.task == "perception" else _is_finite(target))):
        raise ValueError(f"target is {short_repr(target)}")
    if record.score is not None and not _is_finite(record.score):  # a score computed elsewhere may have any range
        raise ValueError(f"score is {short_repr(record.score)}, not a finite number")
    if record.finish not in (None, CUT):
        raise ValueError(f"finish is {short_repr(record.finish)}, not {CUT!r} or null")
    if record.probability is not None and not (_is_finite(record.probability) and 0 < record.probability <= 1):
        raise ValueError(f"probability is {short_repr(record.probability)}, not above 0 and at most 1")
    if record.logprobs is not None:
        _check_mapping("logprobs", record.logprobs, _is_finite)
    if record.tokens is not None:
        _check_mapping("tokens", record.tokens, _is_count)
    if record.tokens is not None and record.tokens.keys() != (record.logprobs or {}).keys():
        raise ValueError("tokens are of other options than logprobs")
    if record.judge is not None:
        _check_mapping("judge", record.judge, _are_votes)
    for name, votes in (record.judge or {}).items():
        if name != "choice" and any(vote is not None and vote > MOST for vote in votes):
            raise ValueError(f"judge of {short_repr(name)} is {short_repr(list(votes))}, not from 0 to {MOST}")
    _check_mapping("slices", record.slices, lambda value: isinstance(value, str))
    if record.repeats is not None:
        if len(record.repeats) < 2 or any(one.status == "error" for one in record.repeats):
            raise ValueError("repeats are fewer than two outcomes, or one of them is an error")
        for one in record.repeats:
            check_record(one)
    if record.status == "correct" and record.choice != target:
        raise ValueError(
            f"status is 'correct', but choice {short_repr(record.choice)} is not target {short_repr(target)}"
        )
    if record.status == "wrong" and record.choice == target:
        raise ValueError(f"status is 'wrong', but choice {short_repr(record.choice)} is the target")


def _check_mapping(name: str, value: object, fits: Callable[[object], bool]) -> None:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is {short_repr(value)}, not a mapping")
    for key, part in value.items():
        if not isinstance(key, str) or not fits(part):
            raise ValueError(f"{name} of {short_repr(key)} is {short_repr(part)}")


def _is_finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= _MAX


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _are_votes(value: object) -> bool:
    """Return whether `value` is a list of verdicts (or option positions), with None for unreadable ones."""
    return isinstance(value, list | tuple) and all(v is None or (_is_finite(v) and v >= 0) for v in value)
