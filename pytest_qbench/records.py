"""One line of results for one item, and the run folder that holds them."""

from __future__ import annotations

import json
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
Status = Literal["correct", "wrong", "unparsed", "measured", "error"]
RECORDS = "records.jsonl"
encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode  # `json.dumps` would build one an item


@dataclass(frozen=True, slots=True)
class Record:
    """What came out for one item. `choice` and `target` of a perception item are option texts.

    `logprobs` are natural logarithms: per option text (perception by likelihood) or per quality word (assessment);
    `score` is the quality score in [0, 1]; `judge` has one entry a round per dimension: 0, 1 or 2, a number between
    them where the judge gave its expectation, None where the verdict was unreadable; on a perception item whose reply a
    judge had to read, its votes as ``choice`` (positions of options).
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

    @classmethod
    def of(cls, item: Item, status: Status, **result: Any) -> Record:
        """Build the record of `item` with what was measured."""
        target = item.answer if item.task == "perception" else item.target
        return cls(item.id, item.task, item.dataset, item.split, item.group, status, target=target,
                   slices=item.slices, **result)  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values, not copied: `dataclasses.asdict` costs as much as all else of an item."""
        return {name: getattr(self, name) for name in self.__slots__}

    def to_json(self) -> str:
        """One line of `records.jsonl`; floats round-trip exactly, NaN is refused."""
        return encode({"schema": SCHEMA, **self.to_dict()})

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], place: str) -> Record:
        """Read one parsed line; `place` names it in errors."""
        if data.get("schema") != SCHEMA:
            raise UsageError(f"{place}: schema {data.get('schema')!r} is not {SCHEMA}; written by another version?")
        fields = {k: v for k, v in data.items() if k != "schema"}
        try:
            return cls(**fields)
        except TypeError as e:
            raise UsageError(f"{place}: not a record: {e}") from e


def read_records(path: Path) -> list[Record]:
    """Read a `records.jsonl`; a last line cut short by a crash is dropped, any other broken line is an error."""
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
    """What a model returned for one item: generated text, or log-probabilities (natural) per option text or word."""

    text: str | None = None
    logprobs: Mapping[str, float] | None = None
