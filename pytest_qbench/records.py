"""Record: one line of results for one item, and its JSON."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_qbench.items import Item

from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

from pytest_qbench.errors import UsageError
from pytest_qbench.items import Item, Task

SCHEMA = 1
CUT = "length"  # the finish reason of a reply that the token limit ended
Status = Literal["correct", "wrong", "unparsed", "measured", "error"]
RECORDS = "records.jsonl"
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode  # `json.dumps` would build one an item


@dataclass(frozen=True, slots=True)
class Record:
    """The result of one item. `choice` and `target` of a perception item are option texts.

    - `response` is the text as the model returned it, reasoning included.
    - `finish` is `CUT` where the token limit ended the text; None where it ended by itself, or the end is not known.
    - `logprobs` are natural logarithms: per option text (perception by likelihood) or per quality word (assessment).
    - `score` is the quality score, in [0, 1] unless it was computed elsewhere.
    - `judge` has a list per dimension with one entry a round: 0, 1 or 2, or a number between them from a judge that
      gives expectations; None for an unreadable verdict. For a perception item, ``choice`` has a judge's votes on a
      reply that extraction left unparsed, as positions of options.
    - `error` says why an item ended in an error, or why a measured one has no readable verdict.
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

    @classmethod
    def of(cls, item: Item, status: Status, **result: Any) -> Record:
        """Return the record of `item` with the fields that were measured."""
        target = item.answer if item.task == "perception" else item.target
        return cls(item.id, item.task, item.dataset, item.split, item.group, status, target=target,
                   slices=item.slices, **result)  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, without a `finish` of None, which records had not at first.

        Values are not copied: `dataclasses.asdict` costs as much as all else of an item.
        """
        fields = {name: getattr(self, name) for name in self.__slots__}
        if self.finish is None:
            del fields["finish"]
        return fields

    def to_json(self) -> str:
        """Return one line of `records.jsonl`. Floats round-trip exactly; NaN raises `ValueError`."""
        return encode({"schema": SCHEMA, **self.to_dict()})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], place: str) -> Record:
        """Return the record of one parsed line. `place` names the line in errors."""
        if data.get("schema") != SCHEMA:
            raise UsageError(f"{place}: schema {data.get('schema')!r} is not {SCHEMA}; written by another version?")
        fields = {k: v for k, v in data.items() if k != "schema"}
        try:
            return cls(**fields)
        except TypeError as e:
            raise UsageError(f"{place}: not a record: {e}") from e


def read_records(path: Path) -> list[Record]:
    """Return the records of a `records.jsonl`.

    A last line that a crash cut short is dropped. Any other broken line raises `UsageError`.
    """
    records = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as e:
        raise UsageError(f"{path}: {e.strerror}") from e
    for number, line in enumerate(lines, 1):
        if not line:
            continue
        try:
            data = json.loads(line)
        except json.JSONDecodeError as e:
            if number == len(lines):
                break
            raise UsageError(f"{path}:{number}: not JSON: {e}") from e
        records.append(Record.from_dict(data, f"{path}:{number}"))
    return records


Key = tuple[str, str]  # task and id of an item


@dataclass(frozen=True, slots=True)
class Response:
    """What a model returned for one item: generated text, or log-probabilities (natural) per option text or word.

    `finish` is `CUT` where the token limit ended the text. `score` is a quality score that was computed elsewhere,
    greater for better quality.
    """

    text: str | None = None
    logprobs: Mapping[str, float] | None = None
    finish: str | None = None
    score: float | None = None


def error_kind(error: str, item: str) -> str:
    """Return the kind of an error: its text without the item's id and without numbers, which differ by item."""
    return re.sub(r"\d+", "0", error.replace(item, ""))
