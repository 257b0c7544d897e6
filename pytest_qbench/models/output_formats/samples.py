"""Sample logs of lmms-eval (0.3 to 0.7) and of lm-eval: one line a document.

Both log `resps`, the replies to the requests of a document, and `filtered_resps`, what a filter left of them. lm-eval
and lmms-eval up to 0.3 log the document as `doc`. lmms-eval since 0.4 drops it, so that the id stands only in the
metrics (`qbench_acc.id`, `submission`) and the question in `input`; since 0.7 it also unwraps a single reply.
A request of a multiple-choice task has `[likelihood, is_greedy]` in the place of a reply: lm-eval's log-likelihoods
are never above 0, lmms-eval's losses never below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pytest_qbench.data.readers.row import Row
from pytest_qbench.errors import DataError, ModelError
from pytest_qbench.models.output_formats.base import (
    FINISH_REASONS,
    Output,
    OutputFile,
    RawFile,
    ReadingOptions,
    finished,
    mapping,
    reply,
    writable,
)
from pytest_qbench.models.output_formats.entries import options_in
from pytest_qbench.untrusted.shape import short_repr

_IMAGES = ("img_path", "image_path", "image", "image_name", "filename")
_IDS = ("id", "index", "question_id")
_OPTION_LINE = re.compile(r"\(?([A-Z])[.):]\s*(.*)")
#: lmms-eval's `20260801_101500_samples_qbench_dev.jsonl`, lm-eval's `samples_qbench_dev_2026-08-01T10-15-00.1.jsonl`.
_LMMS_EVAL = re.compile(r"(?P<run>.*?)_?samples_(?P<task>.+)\Z")
_LM_EVAL = re.compile(r"samples_(?P<task>.+?)_(?P<run>\d{4}-\d\d-\d\dT[\d.-]+)\Z")


class SampleLogs:
    """Reads the sample logs of both harnesses."""

    suffixes = (".jsonl", ".json")

    def read(self, file: RawFile, options: ReadingOptions) -> OutputFile | None:
        """Return the outputs; None for a file whose first entry has no `resps` or `filtered_resps`."""
        path, rows = file.path, file.rows
        if not _is_sample(rows[0]):
            return None
        rows = _of_filter(path, rows, options.filter)
        outputs = [output for row in rows for output in _outputs(row)]
        named = _LM_EVAL.match(path.stem) or _LMMS_EVAL.match(path.stem)
        return OutputFile(path, _as_log_likelihoods(path, outputs), run=(named["run"] or None) if named else None)


def _is_sample(row: Row) -> bool:
    fields = row.fields
    return ("filtered_resps" in fields or "resps" in fields) and ("doc" in fields or "doc_id" in fields)


def _of_filter(path: Path, rows: Sequence[Row], wanted: str | None) -> list[Row]:
    """Return the lines of one filter: lm-eval logs every document once for each filter of its task."""
    filters = list(dict.fromkeys(str(row.fields.get("filter", "none")) for row in rows))
    if wanted is None and len(filters) > 1:
        raise ModelError(
            f"{path.name}: holds the answers of {len(filters)} filters ({', '.join(filters)}); "
            f"choose one with --qbench-model-arg=filter={filters[0]}"
        )
    if wanted is not None and wanted not in filters:
        raise ModelError(f"{path.name}: no filter {wanted!r}; there is {', '.join(filters)}")
    return [row for row in rows if wanted is None or str(row.fields.get("filter", "none")) == wanted]


def _outputs(row: Row) -> list[Output]:
    """Return the output of a line; several where a document was asked several times and answered differently."""
    document = mapping(row.fields.get("doc"))
    ids = tuple(dict.fromkeys((*_values(document, _IDS), *_ids_in_metrics(row))))
    images = _values(document, _IMAGES)[:1]
    question, options = _asked(row, document)
    if not (ids or images or question):
        raise row.error("neither its doc nor its metrics nor its input tell the item", "log it with doc or input")
    named = Output(row.number, ids, images, question, options)
    try:
        answer = row.fields["filtered_resps"] if "filtered_resps" in row.fields else row.fields["resps"]
        if likelihoods := _likelihoods(answer):
            return [replace(named, likelihoods=likelihoods)]
        replies = list(dict.fromkeys(_replies(row, answer)))
        reasons = [row.fields[name] for name in FINISH_REASONS if name in row.fields]
    except DataError as e:
        return [replace(named, error=str(e))]
    return [finished(replace(named, text=text), row.place, *reasons) for text in replies]


def _values(fields: Mapping[Any, object], names: Sequence[str]) -> tuple[str, ...]:
    found = (fields.get(name) for name in names)
    return tuple(
        str(value).strip() for value in found
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip() and writable(str(value))
    )  # fmt: skip


def _ids_in_metrics(row: Row) -> tuple[str, ...]:
    """Return the id that lmms-eval's metrics of Q-Bench repeat: `qbench_acc.id`, the one key of `submission`."""
    found: list[str] = []
    for name, value in row.fields.items():
        if not isinstance(value, Mapping) or name in ("doc", "arguments"):
            continue
        if name == "submission" and len(value) == 1:
            found += [str(key) for key in value]
        else:
            found += _values(value, _IDS)
    return tuple(found)


def _asked(row: Row, document: Mapping[Any, object]) -> tuple[str | None, tuple[str, ...]]:
    """Return question and options, from the document or from the prompt."""
    question = document.get("question")
    if isinstance(question, str) and question.strip():
        columns = [f"option{i}" for i in range(10)] if "option0" in document else list("ABCDEFGHIJ")
        return question, options_in(document, columns)
    prompt = row.fields.get("input") or _first_argument(row.fields.get("arguments"))
    return in_prompt(prompt) if isinstance(prompt, str) and prompt.strip() else (None, ())


def _first_argument(arguments: object) -> object:
    """Return lm-eval's `arguments.gen_args_0.arg_0`, the prompt of the first request."""
    return mapping(mapping(arguments).get("gen_args_0")).get("arg_0")


def in_prompt(prompt: str) -> tuple[str, tuple[str, ...]]:
    """Return the question and the lettered options of a prompt: the text before the line `A. ...`, and those lines."""
    lines = prompt.splitlines()
    for start, line in enumerate(lines):
        options: list[str] = []
        for following in lines[start:]:
            option = _OPTION_LINE.match(following.strip())
            if option is None or option[1] != chr(ord("A") + len(options)):
                break
            options.append(option[2].strip())
        if len(options) > 1:
            return "\n".join(lines[:start]).strip(), tuple(options)
        if options and line is lines[-1]:
            break
    return prompt.strip(), ()


def _likelihoods(answer: object) -> tuple[float, ...]:
    """Return the likelihoods of `[[likelihood, is_greedy], ...]`; empty where the answer is a text."""
    pairs = [_unwrapped(one) for one in answer] if isinstance(answer, list) else []
    if len(pairs) < 2 or not all(len(pair) == 2 and str(pair[1]) in ("True", "False") for pair in pairs):
        return ()
    try:
        return tuple(float(pair[0]) for pair in pairs)
    except (ValueError, TypeError):
        return ()


def _unwrapped(answer: object) -> list[Any]:
    """Return the pair of a request, which a log without a filter holds in one more list."""
    if not isinstance(answer, list):
        return []
    return answer[0] if len(answer) == 1 and isinstance(answer[0], list) else answer


def _replies(row: Row, answer: object) -> list[str]:
    """Return the replies, one for each time that the document was asked."""
    if isinstance(answer, str):
        if not writable(answer):
            raise row.error(f"the reply {short_repr(answer)} is not valid Unicode", "export the file as UTF-8")
        return [reply(answer)]
    if isinstance(answer, int | float) and not isinstance(answer, bool) and math.isfinite(answer):
        return [str(answer)]
    if isinstance(answer, list) and answer:
        return [text for one in answer for text in _replies(row, one)]
    raise row.error(f"the reply {short_repr(answer)} is no text", "log the replies as text")


def _as_log_likelihoods(path: Path, outputs: list[Output]) -> list[Output]:
    """Turn losses into log-likelihoods; raises `DataError` where their sign does not tell which they are."""
    values = [value for output in outputs for value in output.likelihoods]
    if not any(value > 0 for value in values):
        return outputs
    for output in outputs:
        if any(value < 0 for value in output.likelihoods):
            raise DataError(
                f"{path.name}: entry {output.number}: likelihoods {short_repr(list(output.likelihoods))}, "
                "elsewhere of the other sign: neither losses nor log-likelihoods; log one of them"
            )
    return [
        replace(output, likelihoods=tuple(-value for value in output.likelihoods)) if output.likelihoods else output
        for output in outputs
    ]
