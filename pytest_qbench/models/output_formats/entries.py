"""Entries with an image or an id beside a reply, logits or a score.

Q-Bench, Q-Instruct, Q-Align and DeQA-Score write the fields of the data with `response`, `logit_WORD` or a nested
`logits` added; VLMEvalKit writes the columns of its table with `prediction` added. A plain table has two columns.
"""

from __future__ import annotations

import math
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pytest_qbench.data.readers.row import Row
from pytest_qbench.errors import DataError
from pytest_qbench.models.output_formats.base import (
    FINISH_REASONS,
    NoOutputsError,
    Output,
    OutputFile,
    RawFile,
    ReadingOptions,
    finished,
    reply,
    writable,
)
from pytest_qbench.untrusted.shape import short_repr

_LOGIT = "logit_"
_IMAGES = ("img_path", "image_path", "image", "image_name", "img_name", "img", "filename", "file_name", "images")
_IDS = ("id", "index", "question_id", "item")
_REPLIES = ("response", "prediction", "reply", "output", "generated_text")
_SCORES = ("score", "pred_score", "predicted_score", "quality_score")
_OPTIONS = (tuple(string.ascii_uppercase[:10]), tuple(f"option{i}" for i in range(10)))
#: What VLMEvalKit writes as the prediction where an endpoint gave none.
_FAILED = "Failed to obtain answer via API."


@dataclass(frozen=True, slots=True)
class _Columns:
    """The fields of a file's entries that matter, by what they hold."""

    ids: tuple[str, ...]
    images: tuple[str, ...]
    reply: str | None
    logits: tuple[tuple[str, str], ...]
    nested: bool
    score: str | None
    finish: tuple[str, ...]
    question: bool
    options: tuple[str, ...]

    @classmethod
    def of(cls, names: Iterable[str]) -> _Columns:
        present = dict.fromkeys(map(str, names))
        options = next((columns for columns in _OPTIONS if columns[0] in present), ())
        return cls(
            tuple(name for name in _IDS if name in present),
            tuple(name for name in _IMAGES if name in present),
            next((name for name in _REPLIES if name in present), None),
            tuple((name.removeprefix(_LOGIT), name) for name in present if name.startswith(_LOGIT)),
            "logits" in present,
            next((name for name in _SCORES if name in present), None),
            tuple(name for name in FINISH_REASONS if name in present),
            "question" in present,
            tuple(name for name in options if name in present),
        )

    @property
    def names_item(self) -> bool:
        return bool(self.ids or self.images)

    @property
    def holds_output(self) -> bool:
        return bool(self.reply or self.logits or self.nested or self.score)


class Entries:
    """Reads JSON, JSONL, CSV, TSV and xlsx files with one entry an output."""

    suffixes = (".json", ".jsonl", ".csv", ".tsv", ".xlsx")

    def read(self, file: RawFile, options: ReadingOptions) -> OutputFile | None:
        """Return the outputs; every entry must name an item and hold an answer."""
        return OutputFile(file.path, list(outputs_of(file.rows)))


def outputs_of(rows: Sequence[Row]) -> Iterable[Output]:
    """Yield the output of each entry; raises `NoOutputsError` for the first that is none."""
    known: dict[tuple[str, ...], _Columns] = {}
    for row in rows:
        names = tuple(row.fields)
        columns = known.get(names)
        if columns is None:
            columns = known[names] = _Columns.of(names)
        images: tuple[str, ...] = ()
        for name in columns.images:
            if images := _texts(row, name):
                break
        ids = tuple([text for name in columns.ids for text in _texts(row, name)]) if columns.ids else ()
        if not (ids or images) or not columns.holds_output:
            raise NoOutputsError(
                f"entry {row.number} has no image or id with a reply (response, prediction), logits (logit_WORD, "
                "logits) or a score"
            )
        if not images and "->" in ids[0]:  # Q-Align's name->mos
            images = (ids[0].rpartition("->")[0],)
        yield _output(row, columns, ids, images)


def _output(row: Row, columns: _Columns, ids: tuple[str, ...], images: tuple[str, ...]) -> Output:
    question = _question(row) if columns.question else None
    options = options_in(row.fields, columns.options) if question is not None else ()
    text, logprobs, score = None, None, None
    try:
        if columns.reply is not None:
            text = _reply(row, columns.reply)
        if columns.logits:
            logprobs = _logits(row, columns.logits)
        elif columns.nested:
            logprobs = _nested(row)
        elif columns.reply is None and columns.score is not None:
            score = row.number_at(columns.score)
            if score is None:
                raise row.error(f"no {columns.score}", "add the score or remove the entry")
    except DataError as e:
        return Output(row.number, ids, images, question, options, error=str(e))
    output = Output(row.number, ids, images, question, options, text, logprobs, score=score)
    return finished(output, row.place, *map(row.fields.get, columns.finish)) if columns.finish else output


def _texts(row: Row, name: str) -> tuple[str, ...]:
    value = row.fields[name]
    if type(value) is str and value and not value.isspace() and writable(value):
        return (value.strip(),)
    return tuple(row.texts(name) or ())


def _question(row: Row) -> str | None:
    value = row.fields.get("question")
    return value if isinstance(value, str) and value.strip() else None


def _reply(row: Row, name: str) -> str:
    value = row.fields[name]
    if value is None or (isinstance(value, float) and math.isnan(value)):  # an empty cell is an empty reply
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):  # a sheet turns a reply "3" into a number
        return str(value)
    if not isinstance(value, str):
        raise row.error(f"the {name} {short_repr(value)} is no text", "write it as a string")
    if not writable(value):
        raise row.error(f"the {name} {short_repr(value)} is not valid Unicode", "export the file as UTF-8")
    if _FAILED in value:
        raise row.error(f"the endpoint gave no answer ({_FAILED!r})", "run this item again")
    return reply(value)


def _logits(row: Row, columns: Sequence[tuple[str, str]]) -> dict[str, float]:
    fields, logits = row.fields, {}
    for word, name in columns:
        value = fields[name]
        # Most are finite floats; the others are checked with care.
        number = value if type(value) is float and math.isfinite(value) else row.number_at(name)
        if number is None:
            raise row.error(f"no {name}", "add the logit or remove the entry")
        logits[word] = number
    return logits


def _nested(row: Row) -> dict[str, float]:
    nested = row.fields["logits"]
    if not isinstance(nested, Mapping) or not nested:
        raise row.error(f"logits is {short_repr(nested)}, not an object of a logit a word", "write {WORD: logit, ...}")
    return _logits(Row(row.file, row.number, nested), [(str(word), word) for word in nested])


def options_in(fields: Mapping[str, object], columns: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the options of an entry, from a list or from one column an option; blanks and pads after the last go."""
    lists = (fields.get(key) for key in ("candidates", "options", "choices"))
    listed = next((value for value in lists if isinstance(value, list)), None)
    if listed is None:
        listed = [fields.get(column) for column in columns]
    cells = ["" if cell is None or cell != cell else str(cell).strip() for cell in listed]
    while cells and cells[-1] in ("", "N/A"):
        cells.pop()
    return tuple(cells)
