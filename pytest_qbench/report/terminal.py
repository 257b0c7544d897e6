"""The summary of a run as lines of text: in pytest's terminal, in a CI log, by `qbench report`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from pytest_qbench.gates.flips import Flip
from pytest_qbench.items import DIMENSIONS
from pytest_qbench.report.finished_run import Finished, Gate
from pytest_qbench.report.labels import (
    JUDGED,
    SHOWN,
    TRUST,
    interval,
    judged,
    name_of,
    number,
    row_label,
    signed,
    slice_label,
    was,
)
from pytest_qbench.report.notices import remarks
from pytest_qbench.report.text_table import aligned, shortened, split_to_fit

if TYPE_CHECKING:
    from pytest_qbench.gates.evaluate import GateResult
    from pytest_qbench.metrics.metrics import Metric

NOT_QBENCH = "mini (embedded trial data: it is not Q-Bench)"


COLOURS = dict.fromkeys(("REGRESSED", "INVALID", "FAILED"), "red") | dict.fromkeys(
    ("PASS", "BASELINE RECORDED"), "green"
)


OUTCOMES = {"pass": "green", "fail": "red"}


FLIPS_SHOWN = 10


class Line(NamedTuple):
    """A line, and how a terminal marks it up: "bold" or a colour, or both."""

    text: str
    marks: tuple[str, ...] = ()


def gate_text(result: GateResult) -> str:
    """What a failing gate prints: the reason, the comparison row by row, then the items that were lost."""
    lines = [f"{result.name} {result.verdict}: {result.reason}"]
    if compared := [m for m in result.rows if m.delta_ci is not None]:
        lines += aligned([["", "now", "baseline", "p", "alpha", *JUDGED], *map(_row, compared)])
    if result.lost:
        lines.append(f"{len(result.lost)} items lost, {len(result.gained)} gained; before -> now:")
        lines += [_flip(flip) for flip in result.lost[:FLIPS_SHOWN]]
        if len(result.lost) > FLIPS_SHOWN:
            lines.append(f"  ... and {len(result.lost) - FLIPS_SHOWN} more in summary.json")
    return "\n".join(lines)


def _row(m: Metric) -> list[str]:
    odds = ["-" if value is None else f"{value:.2g}" for value in (m.p_value, m.alpha)]
    return [row_label(m), number(m), was(m), *odds, *judged(m)]


def _flip(flip: Flip, way: str = "") -> str:
    before, after = (text if text is None else " ".join(text.split())[:60] for text in (flip.before, flip.after))
    return f"  {way}{flip.item}: {flip.question} {before!r} -> {after!r}"


def section(run: Finished, width: int, verbosity: int = 0) -> list[Line]:
    """The lines about a run; tables fit into `width` columns where names allow it.

    Below 0, `verbosity` leaves verdict, open gates and files; above 0 it adds flips, conditions and all that was
    left out.
    """
    lines = []
    if run.summary["fingerprint"].get("data") == "mini":
        lines.append(Line(f"data: {NOT_QBENCH}"))
    if verbosity >= 0:
        for table in tables(run, width):
            lines += [Line(text, ("bold",) if i == 0 else ()) for i, text in enumerate(table)]
        if found := run.summary.get("sight"):
            adds = found["seeing"] - found["blind"]
            lines.append(
                Line(
                    f"  accuracy with sight {found['seeing']:.4f}, blind {found['blind']:.4f}: seeing adds {adds:+.4f}"
                )
            )
    lines += _left(run, verbosity)
    lines += _gates(run, width, verbosity)
    lines += [Line(text, ("yellow",) * warns) for text, warns in remarks(run)]
    lines += [Line(note, ("red",)) for note in run.summary["notes"]]
    lines += [Line(hint, ("yellow",)) for hint in run.summary.get("hints", ())]
    if written := run.summary["baseline"].get("written"):
        lines += [Line(change) for change in run.summary.get("changes", ())]
        lines.append(Line(f"baseline recorded: {written}"))
    lines += [Line(text) for text in run.summary.get("submissions", ())]
    if verbosity > 0:
        lines += _conditions(run, width)
    lines.append(Line(f"files: {run.folder}"))
    verdict = run.summary["verdict"]
    return [*lines, Line(verdict, ("bold", COLOURS.get(verdict.partition(":")[0], "yellow")))]


def tables(run: Finished, width: int) -> list[list[str]]:
    """Return the tables of a run, each a list of lines, the first its head."""
    shown: list[list[str]] = []
    for name in dict.fromkeys(m.dataset for m in run.of("perception.accuracy") if m.dataset):
        shown.append(_perception(run, name, width))
    for name in dict.fromkeys(m.dataset for m in run.of("description.sum") if m.dataset):
        shown += _description(run, name, width)
    if run.of("assessment.srcc"):
        shown += _assessment(run, width)
    others = [m for m in run.metrics if m.name not in SHOWN]
    if others:
        head = ["beside", "value", "baseline", "95 % interval", "items"]
        rows = [[f"{name_of(m)} {row_label(m)}", number(m), was(m), interval(m), str(m.n)] for m in others]
        shown.append(aligned([head, *rows], width=width))
    return shown


def _compared(m: Metric) -> list[str]:
    return [number(m), was(m), signed(m.delta), interval(m)]


def _perception(run: Finished, dataset: str, width: int) -> list[str]:
    rows = [["perception " + dataset, "accuracy", "baseline", "delta", "95 % interval", "items"]]
    rows += [
        ["all" if m.slice is None else slice_label(m.slice), *_compared(m), str(m.n)]
        for m in run.of("perception.accuracy")
        if m.dataset == dataset
    ]
    told = (
        ("perception.unparsed_rate", "unparsed rate"),
        ("perception.yes_rate", "yes rate"),
        ("perception.confidence", "confidence"),
        ("perception.accuracy_parsed", "accuracy without unparsed"),
        ("perception.accuracy_yes", "where the answer is yes"),
        ("perception.accuracy_no", "where it is no"),
        ("perception.position_bias", "position bias"),
    )
    totals = {m.name: m for m in run.metrics if m.dataset == dataset and m.slice is None and m.value is not None}
    found = [f"{words} {number(totals[name])}" for name, words in told if name in totals]
    return [*aligned(rows, width=width), *_filled(found, width)]


def _filled(parts: list[str], width: int) -> list[str]:
    """Parts of a sentence on as few lines as they fit."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 2 <= width:
            lines[-1] += f", {part}"
        else:
            lines.append(f"  {part}")
    return lines


def _description(run: Finished, dataset: str, width: int) -> list[list[str]]:
    rows = [["description " + dataset, "mean", "baseline", "delta", "95 % interval", "items", *TRUST.values()]]
    beside = {m.name: m for m in run.metrics if m.dataset == dataset and m.slice is None}
    for part in (*DIMENSIONS, "sum"):
        more = [_short(beside.get(f"description.{part}_{key}")) for key in TRUST]
        rows += [[part, *_compared(m), str(m.n), *more] for m in run.of(f"description.{part}") if m.dataset == dataset]
    parts = split_to_fit(rows, 6, width)
    unread, golden = (beside.get(f"description.{name}") for name in ("unreadable_rate", "golden_agreement"))
    if unread and unread.value:
        parts[-1].append(f"  unreadable verdicts {number(unread)}")
    if golden:
        words = f"F1, {golden.n} items with several"
        parts[-1].append(f"  golden texts of an item share {number(golden)} of their words ({words})")
    return parts


def _short(m: Metric | None) -> str:
    return "" if m is None else "-" if m.value is None else f"{m.value:.3f}"


# Diagnostics and their columns: Kendall's tau, PLCC and RMSE after the logistic fit, how finely the scores tell apart.
BESIDE = {
    "assessment.krcc": "KRCC",
    "assessment.plcc_fitted": "PLCC fitted",
    "assessment.rmse_fitted": "RMSE fitted",
    "assessment.distinct_scores": "distinct",
    "assessment.tied_share": "tied",
}


def _assessment(run: Finished, width: int) -> list[list[str]]:
    rows = [["assessment", "SRCC", "baseline", "delta", "95 % interval", "PLCC", "items", *BESIDE.values()]]
    others = {(m.dataset, m.slice, m.name): m for m in run.metrics}
    for m in run.of("assessment.srcc"):
        plcc = others.get((m.dataset, m.slice, "assessment.plcc"))
        more = [_beside(others.get((m.dataset, m.slice, key))) for key in BESIDE]
        rows.append([row_label(m), *_compared(m), "-" if plcc is None else number(plcc), str(m.n), *more])
    parts = split_to_fit(rows, 7, width)
    if scoring := run.summary["fingerprint"].get("scoring"):
        halves = "; a database of two halves by the mean of their correlations" if scoring.get("halves") else ""
        good, poor = scoring["words"]
        parts[-1].append(f"  scores: softmax of {good} and {poor}, temperature {scoring['temperature']:g}{halves}")
    return parts


def _beside(m: Metric | None) -> str:
    """A diagnostic; where the logistic fit found nothing the cell says so, and `summary.json` why."""
    if m is None:
        return ""
    if m.value is None:
        return "no fit" if m.name.endswith("_fitted") else "undefined"
    return f"{m.value:.0f}" if m.name == "assessment.distinct_scores" else f"{m.value:.4f}"


def _left(run: Finished, verbosity: int) -> list[Line]:
    """How many items were measured; which were not, and which records of the data never became items."""
    counts, summary = run.summary["items"], run.summary
    missing = counts["total"] - counts["scored"] - counts["unparsed"] - counts["errors"]
    whole = missing == counts["errors"] == 0
    text = f"items: {counts['scored']} scored, {counts['unparsed']} unparsed, {counts['errors']} errors, "
    lines = [Line(f"{text}{missing} missing of {counts['total']}", () if whole else ("red",))]
    most = len(summary["left_out"]) if verbosity > 0 else FLIPS_SHOWN
    if verbosity >= 0:
        lines += _first([f"error: {e['error']}" for e in summary.get("errors", ())], counts["errors"], "errors", most)
        lines += _first([f"missing: {item}" for item in summary.get("missing", ())], missing, "missing", most)
    left_out = [f"left out: {e['dataset']} {e['entry']}: {e['reason']}" for e in summary["left_out"]]
    if verbosity < 0:
        return [*lines, *([Line(f"left out: {len(left_out)} entries of the data")] if left_out else [])]
    return [*lines, *_first(left_out, len(left_out), "left out", most)]


def _first(texts: list[str], count: int, word: str, most: int) -> list[Line]:
    lines = [Line(text) for text in texts[:most]]
    return [*lines, *([Line(f"{word}: {count - len(lines)} more, in the run folder")] if count > len(lines) else [])]


def _gates(run: Finished, width: int, verbosity: int) -> list[Line]:
    lines = []
    rows = [(gate, row) for gate in run.gates for row in gate.rows if row.margin is not None]
    if rows and verbosity >= 0:
        head = ["gate", *JUDGED]
        cells = [[f"{name_of(row)} {row_label(row)}", *judged(row)] for _, row in rows]
        table = aligned([head, *cells], width=width)
        lines.append(Line(table[0], ("bold",)))
        lines += [Line(text, _marks(gate)) for text, (gate, _) in zip(table[1:], rows, strict=True)]
    for gate in run.gates:
        if verbosity >= 0 or gate.outcome != "pass":
            verdict = gate.verdict if gate.verdict != "invalid" or gate.outcome != "not gated" else "not gated"
            lines.append(Line(f"gate {gate.name}: {verdict} ({gate.reason})", _marks(gate)))
        if verbosity > 0:
            lines += [*_moved("lost", gate.lost), *_moved("gained", gate.gained)]
    return lines


def _marks(gate: Gate) -> tuple[str, ...]:
    return (OUTCOMES.get(gate.outcome, "yellow"),)


def _moved(word: str, moved: Iterable[Flip]) -> list[Line]:
    return [Line(_flip(flip, f"{word} ")) for flip in moved]


def _conditions(run: Finished, width: int) -> list[Line]:
    """What the records were made with, one condition a line."""
    found = [f"  {key}: {value}" for key, value in run.summary["fingerprint"].items() if value is not None]
    return [Line("  conditions", ("bold",)), *(Line(shortened(text, width)) for text in found)]
