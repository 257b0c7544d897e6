"""Details that -v and -vv add to the terminal: a table per task, the conditions, each wrong item."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pytest_qbench.items import DIMENSIONS
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.labels import (
    SHOWN,
    TRUST,
    before_text,
    change_text,
    name_of,
    own_interval,
    row_label,
    shortened_id,
    slice_label,
    value_text,
)
from pytest_qbench.report.reference import degradation_lines, published_text
from pytest_qbench.report.text_table import aligned, filled, split_to_fit

if TYPE_CHECKING:
    from pytest_qbench.metrics.metric import Metric

# Diagnostics and their columns: Kendall's tau, PLCC and RMSE after the logistic fit, distinct and tied scores.
_DIAGNOSTICS = {
    "assessment.krcc": "KRCC",
    "assessment.plcc_fitted": "PLCC fitted",
    "assessment.rmse_fitted": "RMSE fitted",
    "assessment.distinct_scores": "distinct",
    "assessment.tied_share": "tied",
}


def tables(run: FinishedRun, width: int) -> list[list[str]]:
    """Return the tables of a run, each as a list of lines that begins with the head."""
    shown: list[list[str]] = []
    for name in dict.fromkeys(m.dataset for m in run.of("perception.accuracy") if m.dataset):
        shown.append(_perception(run, name, width))
    for name in dict.fromkeys(m.dataset for m in run.of("description.sum") if m.dataset):
        shown += _description(run, name, width)
    if run.of("assessment.srcc"):
        shown += _assessment(run, width)
    shown += published_text(run, width)
    others = [m for m in run.metrics if m.name not in SHOWN]
    if others:
        head = ["other metrics", "value", "baseline", "95 % interval", "items"]
        rows = [[f"{name_of(m)} {row_label(m)}", *_value(m), own_interval(m), str(m.n)] for m in others]
        shown.append(aligned([head, *rows], width=width))
    return shown


def conditions(run: FinishedRun) -> list[str]:
    """Return the conditions of the run, one per line."""
    return [f"  {name}: {value}" for name, value in flattened(run.summary.fingerprint.to_json())]


def flattened(data: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name and text of each nested condition, such as ``model.versions.torch``.

    Hashes are cut to eight digits.
    """
    if path == "judge_control.scores":  # one line per text would be too long; summary.json holds them
        return
    if isinstance(data, dict):
        for key, value in data.items():
            yield from flattened(value, f"{path}.{key}" if path else str(key))
    elif data is not None:
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        yield path, shortened_id(text)


def wrong_items(run: FinishedRun) -> Iterator[str]:
    """Yield the lines about each wrong, unparsed or failed item: question, options, reply, choice and answer."""
    for key, record in run.records.items():
        if record.status not in ("wrong", "unparsed", "error"):
            continue
        item = run.items[key]
        yield f"{record.status} {record.item}: {_flat(item.question)}".rstrip(": ")
        if item.options:
            yield f"    options: {' / '.join(map(_flat, item.options))}"
        if record.response is not None:
            yield f"    reply:   {_flat(record.response)}"
        if record.choice is not None:
            yield f"    said:    {_flat(record.choice)}"
        if item.answer is not None:
            yield f"    right:   {_flat(item.answer)}"
        if record.error is not None:
            yield f"    error:   {_flat(record.error)}"


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())


def _value(m: Metric) -> list[str]:
    return [value_text(m.name, m.value), before_text(m)]


def _compared(m: Metric) -> list[str]:
    return [*_value(m), change_text(m.name, m.delta), own_interval(m)]


def _perception(run: FinishedRun, dataset: str, width: int) -> list[str]:
    rows = [["perception " + dataset, "accuracy", "chance", "baseline", "change", "95 % interval", "items"]]
    chance = {m.slice: value_text(m.name, m.value) for m in run.of("perception.chance") if m.dataset == dataset}
    for m in run.of("perception.accuracy"):
        if m.dataset == dataset:
            value, *others = _compared(m)
            name = "all" if m.slice is None else slice_label(m.slice)
            rows.append([name, value, chance.get(m.slice, ""), *others, str(m.n)])
    rows += [
        [f"right option at {slice_label(m.slice or '')}", value, "", *others, str(m.n)]
        for m in run.of("perception.accuracy_at")
        if m.dataset == dataset
        for value, *others in [_compared(m)]
    ]
    labels = (
        ("perception.unparsed_rate", "unparsed rate"),
        ("perception.cut_rate", "cut rate"),
        ("perception.yes_rate", "yes rate"),
        ("perception.true_yes_rate", "true share of yes"),
        ("perception.confidence", "confidence"),
        ("perception.accuracy_parsed", "accuracy without unparsed"),
        ("perception.accuracy_yes", "where the answer is yes"),
        ("perception.accuracy_no", "where it is no"),
        ("perception.position_bias", "position bias"),
    )
    of_dataset = {m.name: m for m in run.metrics if m.dataset == dataset and m.slice is None and m.value is not None}
    found = [f"{words} {value_text(name, of_dataset[name].value)}" for name, words in labels if name in of_dataset]
    return [*aligned(rows, width=width), *filled(found, width), *degradation_lines(run, dataset, width)]


def _description(run: FinishedRun, dataset: str, width: int) -> list[list[str]]:
    rows = [["description " + dataset, "mean", "baseline", "change", "95 % interval", "items", *TRUST.values()]]
    totals = {m.name: m for m in run.metrics if m.dataset == dataset and m.slice is None}
    for part in (*DIMENSIONS, "sum"):
        more = [_short(totals.get(f"description.{part}_{key}")) for key in TRUST]
        rows += [[part, *_compared(m), str(m.n), *more] for m in run.of(f"description.{part}") if m.dataset == dataset]
    parts = split_to_fit(rows, 6, width)
    unread, golden = (totals.get(f"description.{name}") for name in ("unreadable_rate", "golden_agreement"))
    if (cut := totals.get("description.cut_rate")) and cut.value:
        parts[-1].append(f"  cut rate {cut.value:.1%}")
    if unread and unread.value:
        parts[-1].append(f"  unreadable verdicts {unread.value:.1%}")
    if golden:
        share = value_text(golden.name, golden.value)
        words = f"F1, {golden.n} items with several"
        parts[-1].append(f"  golden texts of an item share {share} of their words ({words})")
    return parts


def _short(m: Metric | None) -> str:
    return "" if m is None else "-" if m.value is None else f"{m.value:.3f}"


def _assessment(run: FinishedRun, width: int) -> list[list[str]]:
    rows = [["assessment", "SRCC", "baseline", "change", "95 % interval", "PLCC", "items", *_DIAGNOSTICS.values()]]
    others = {(m.dataset, m.slice, m.name): m for m in run.metrics}
    for m in run.of("assessment.srcc"):
        plcc = others.get((m.dataset, m.slice, "assessment.plcc"))
        more = [_diagnostic_cell(others.get((m.dataset, m.slice, key))) for key in _DIAGNOSTICS]
        linear = "-" if plcc is None else value_text(plcc.name, plcc.value)
        rows.append([row_label(m), *_compared(m), linear, str(m.n), *more])
    parts = split_to_fit(rows, 7, width)
    if scoring := run.summary.fingerprint.scoring:
        halves = "; a database of two halves by the mean of their correlations" if scoring.averages_halves else ""
        *words, last = scoring.words
        several = f", worth 1 ({words[0]}) to 0 ({last})" if len(words) > 1 else ""
        told = f"softmax of {', '.join(words)} and {last}{several}, temperature {scoring.temperature:g}{halves}"
        parts[-1].append(f"  scores: {told}")
    return parts


def _diagnostic_cell(m: Metric | None) -> str:
    """Return the text of a diagnostic, "no fit" without a logistic fit. `summary.json` holds the reason."""
    if m is None:
        return ""
    if m.value is None and m.name.endswith("_fitted"):
        return "no fit"
    return value_text(m.name, m.value)
