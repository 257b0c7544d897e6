"""Published numbers beside those of a run: only of the same dataset, split, number of items and protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.prompt_fingerprint import effective_prompts
from pytest_qbench.prompt_sets.read import packaged_set
from pytest_qbench.prompts import AnswerMode
from pytest_qbench.report.labels import value_text
from pytest_qbench.scoring.score import PAPER_TEMPERATURE
from pytest_qbench.untrusted.parsing import read_yaml

FILE = Path(__file__).with_name("published_rows.yaml")
_ROUNDS = 5  # votes of the published judge


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """A published table, cut to the columns that a run has too.

    `places` are datasets with their splits. `rows` are names with their cells, first the run's.
    """

    title: str
    places: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    source: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """Published rows that are not shown, with the reason. `places` are datasets of the run with their splits."""

    places: tuple[str, ...]
    reason: str


def published_tables(metrics: Sequence[Metric], made: Fingerprint) -> list[PublishedTable]:
    """Return the published tables that a run with these metrics and conditions compares with."""
    return [one for one in _all(metrics, made) if isinstance(one, PublishedTable)]


def withheld_tables(metrics: Sequence[Metric], made: Fingerprint) -> list[Withheld]:
    """Return why published rows of the run's datasets are not shown: each reason with its datasets.

    A dataset with some rows is not among them. Of several tables, the first one gives the reason.
    """
    found = _all(metrics, made)
    told = {place for one in found if isinstance(one, PublishedTable) for place in one.places}
    by_reason: dict[str, list[str]] = {}
    withheld = [(one.reason, place) for one in found if isinstance(one, Withheld) for place in one.places]
    for reason, place in withheld:
        if place not in told:
            told.add(place)
            by_reason.setdefault(reason, []).append(place)
    return [Withheld(tuple(places), reason) for reason, places in by_reason.items()]


@cache
def _published() -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = read_yaml(FILE)
    return tables


def _all(metrics: Sequence[Metric], made: Fingerprint) -> list[PublishedTable | Withheld]:
    questions = [one for table in _published()["questions"] for one in _questions(table, metrics, made)]
    return [*questions, *(one for table in _published()["scores"] for one in _scores(table, metrics, made))]


def _questions(
    table: Mapping[str, Any], metrics: Sequence[Metric], made: Fingerprint
) -> Iterator[PublishedTable | Withheld]:
    """Yield the table of a dataset's accuracies, or why it is withheld; nothing if the run has no such accuracy."""
    own = {
        m.slice or "all": m
        for m in metrics
        if (m.name, m.dataset, m.split) == ("perception.accuracy", table["dataset"], table["split"])
    }
    if "all" not in own or own["all"].value is None:
        return
    place = f"{table['dataset']} {table['split']}"
    if reason := _other_number(own["all"].n, table["items"]) or _other_protocol(table["protocol"], made):
        yield Withheld((place,), reason)
        return
    columns = [i for i, name in enumerate(table["columns"]) if name in own]
    names = [table["columns"][i] for i in columns]
    rows = [("this run", tuple(value_text(own[name].name, own[name].value) for name in names))]
    rows += [
        (name, tuple(value_text("perception.accuracy", values[i]) for i in columns))
        for name, values in table["rows"].items()
    ]
    labels = tuple(name.partition("=")[2].replace("_", " ") or name for name in names)
    yield PublishedTable(f"accuracy of {place}", (place,), labels, tuple(rows), table["source"])


def _scores(
    table: Mapping[str, Any], metrics: Sequence[Metric], made: Fingerprint
) -> Iterator[PublishedTable | Withheld]:
    """Yield the table of the correlations of a run's databases, and why other databases are withheld."""
    own: dict[str, tuple[Metric, Metric]] = {}
    linear = {m.dataset: m for m in metrics if m.name == "assessment.plcc" and m.slice is None}
    for m in metrics:
        if m.name == "assessment.srcc" and m.slice is None and m.value is not None and m.dataset in table["items"]:
            database = str(m.dataset)
            if reason := _other_number(m.n, table["items"][database]) or _other_protocol("scores", made):
                yield Withheld((database,), reason)
            else:
                own[database] = (m, linear[database])
    if not own:
        return
    if own.keys() == table["items"].keys():
        for m in metrics:
            if m.name == "assessment.srcc" and m.dataset is None and set(m.datasets or ()) == own.keys():
                own["mean"] = (m, linear[None])
    columns = [i for i, name in enumerate(table["columns"]) if name in own]
    names = tuple(table["columns"][i] for i in columns)
    rows = [("this run", tuple(_pair(*(m.value for m in own[name])) for name in names))]
    rows += [(name, tuple(_pair(*values[i]) for i in columns)) for name, values in table["rows"].items()]
    yield PublishedTable(
        "SRCC/PLCC", tuple(name for name in names if name != "mean"), names, tuple(rows), table["source"]
    )


def _pair(srcc: float | None, plcc: float | None) -> str:
    return "/".join("-" if value is None else f"{value:.3f}" for value in (srcc, plcc))


def _other_number(items: int, published: int) -> str | None:
    return None if items == published else f"{items:,} items count, not {published:,}"


def _other_protocol(kind: str, made: Fingerprint) -> str | None:
    """Return the conditions in which a run differs from a published protocol, None if there are none."""
    found = ["the images are grey"] if made.blind else []
    if made.option_order and kind != "scores":
        found.append("the options are shuffled")
    if kind == "scores":
        found += _other_scores(made)
    elif kind == "perplexity":
        if made.answer != "perplexity":
            found.append(f"answers by {made.answer} (--qbench-answer=perplexity)")
        elif not _asks("perception", made, ("default", "paper"), "perplexity"):
            found.append("other prompts")
    elif kind == "replies":
        found += _other_replies(made)
    return "; ".join(found) or None  # people are asked without a prompt, and nobody reads their replies


def _other_scores(made: Fingerprint) -> Iterator[str]:
    scoring = made.scoring
    if (
        scoring is None
        or (scoring.temperature, scoring.averages_halves, len(scoring.words)) != (PAPER_TEMPERATURE, True, 2)
        or made.asked
    ):
        yield "other scores (--qbench-protocol=paper)"
    if not _asks("assessment", made, ("default", "paper"), "generate"):
        yield "other prompts"


def _other_replies(made: Fingerprint) -> Iterator[str]:
    if made.answer != "generate":
        yield f"answers by {made.answer} (--qbench-answer=generate)"
    elif not _asks("perception", made, ("paper",), "generate"):
        yield "other prompts (--qbench-prompts=paper)"
    if made.marking is None or made.judge_rounds != _ROUNDS:
        yield f"no {_ROUNDS} votes of a judge that knows the answer (--qbench-judge-answers)"


def _asks(task: str, made: Fingerprint, sets: Sequence[str], answer: AnswerMode) -> bool:
    """Return whether a run asked a task as one of the packaged prompt sets does."""
    asked, _ = effective_prompts(task, made.prompts, made.answer)
    return asked in {packaged_set(name).describe(answer)[task]["hash"] for name in sets}


@dataclass(frozen=True, slots=True)
class PublishedValue:
    """A published number of one model, and the same number of a run."""

    place: str
    published: float
    own: float


def published_names() -> list[str]:
    """Return the names of all models with published rows."""
    tables = [table for kind in ("questions", "scores") for table in _published()[kind]]
    return sorted({name for table in tables for name in table["rows"]})


def totals_of(name: str) -> list[str]:
    """Return what is published of a model, such as "accuracy of llvisionqa dev", each once."""
    found = [f"accuracy of {t['dataset']} {t['split']}" for t in _published()["questions"] if name in t["rows"]]
    found += ["SRCC and PLCC of seven databases" for t in _published()["scores"] if name in t["rows"]]
    return list(dict.fromkeys(found))


def published_values(name: str, metrics: Sequence[Metric], made: Fingerprint) -> list[PublishedValue]:
    """Return the totals of a run beside those of a published model, only of the same data and protocol.

    Where two tables hold the model, the nearer row counts.
    """
    nearest: dict[str, PublishedValue] = {}
    for one in _values(name, metrics, made):
        known = nearest.get(one.place)
        if known is None or abs(one.published - one.own) < abs(known.published - known.own):
            nearest[one.place] = one
    return list(nearest.values())


def _values(name: str, metrics: Sequence[Metric], made: Fingerprint) -> Iterator[PublishedValue]:
    own = {(m.name, m.dataset, m.split): m for m in metrics if m.slice is None and m.value is not None}
    for table in _published()["questions"]:
        m = own.get(("perception.accuracy", table["dataset"], table["split"]))
        if m is None or m.value is None or name not in table["rows"] or m.n != table["items"]:
            continue
        if not _other_protocol(table["protocol"], made):
            place = f"accuracy of {table['dataset']} {table['split']}"
            yield PublishedValue(place, table["rows"][name][0], m.value)
    for table in _published()["scores"]:
        for column, pair in zip(table["columns"], table["rows"].get(name, ()), strict=False):
            for kind, value in zip(("srcc", "plcc"), pair, strict=True):
                m = next((m for key, m in own.items() if key[:2] == (f"assessment.{kind}", column)), None)
                if m and m.value is not None and m.n == table["items"][column] and not _other_protocol("scores", made):
                    yield PublishedValue(f"{kind.upper()} of {column}", value, m.value)
