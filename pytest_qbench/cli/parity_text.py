"""The lines that `qbench parity` prints."""

from __future__ import annotations

from pytest_qbench.metrics.fingerprint import other_differences
from pytest_qbench.metrics.probabilities import probabilities
from pytest_qbench.metrics.results import Results
from pytest_qbench.parity.compare import MetricChange, Parity, Row, by_slice, largest_moves
from pytest_qbench.records import Record
from pytest_qbench.report.labels import shortened_id
from pytest_qbench.report.text_table import aligned, shortened_pair

HEAD = ("measure", "dataset", "items", "changed", "noise floor", "margin", "B against A", "90 % interval", "")
CHANGES = ("metric", "dataset", "items", "change", "95 % interval", "p", "")
SLICES = 3  # slices listed for a difference
TEXT = 60  # longest text of an item


def parity_lines(found: Parity, a: Results, b: Results, most: int) -> list[str]:
    """Return the tables of a comparison, what differs between the runs and, where the answers do, which items moved.

    `most` is the number of items listed for each difference.
    """
    lines = aligned([HEAD, *map(_row, found.rows)], left=2)
    if found.changes:
        lines += ["", *aligned([CHANGES, *map(_change, found.changes)], left=2)]
    lines += [f"differs: {shortened_id(one)}" for one in other_differences(a.fingerprint, b.fingerprint)]
    words = b.fingerprint.words
    for row in found.rows:
        if row.verdict != "different":
            continue
        name = f"{row.measure.name} {row.dataset}"
        if slices := by_slice(row, words)[:SLICES]:
            largest = ", ".join(f"{slice_} {_value(row, mean)} of {n}" for slice_, n, mean in slices)
            lines.append(f"{name}: most in {largest}")
        moves = largest_moves(row, words, most)
        lines += [f"{name}: the largest of {row.changed:,} moves (A -> B):"] if moves else []
        lines += [f"  {new.item}: {' -> '.join(_answers(row, old, new))}" for _, new, old in moves]
    return lines


def verdict_line(found: Parity) -> str:
    """Return the verdict with its reasons, on one line."""
    if found.verdict == "different":
        reasons = [_difference(row) for row in found.rows if row.verdict == "different"]
        reasons += [_metric_difference(change) for change in found.changes if change.is_different]
        return f"DIFFERENT: {'; '.join(reasons)}"
    if found.verdict == "cannot tell":
        reasons = [_doubt(row) for row in found.rows if row.verdict == "cannot tell"]
        return f"CANNOT TELL: {'; '.join(reasons)}"
    return f"EQUAL within the margins: {'; '.join(_equality(row) for row in found.rows)}"


def _row(row: Row) -> tuple[str, ...]:
    interval = "" if row.value is None else f"[{_value(row, row.interval[0])}, {_value(row, row.interval[1])}]"
    return (
        row.measure.name, row.dataset, f"{row.items:,}", f"{row.changed:,}",
        "not known" if row.floor is None else _value(row, row.floor), _value(row, row.margin),
        "-" if row.value is None else _value(row, row.value), interval, row.verdict,
    )  # fmt: skip


def _change(change: MetricChange) -> tuple[str, ...]:
    found = change.paired
    interval = f"[{found.lower:+.4f}, {found.upper:+.4f}]"
    verdict = "different" if change.is_different else ""
    return (change.name, change.dataset, f"{found.n:,}", f"{found.delta:+.4f}", interval, f"{found.two_sided_p:.2g}",
            verdict)  # fmt: skip


def _difference(row: Row) -> str:
    lower = row.interval[0]
    return (
        f"{row.measure.name} {row.dataset} {_value(row, row.value or 0.0)} (at least {_value(row, lower)}, "
        f"margin {_value(row, row.limit)}, {row.changed:,} of {row.items:,} items moved)"
    )


def _metric_difference(change: MetricChange) -> str:
    return (
        f"{change.name} {change.dataset} {change.paired.delta:+.4f} (p = {change.paired.two_sided_p:.2g}, "
        f"margin {change.margin:g})"
    )


def _doubt(row: Row) -> str:
    where = f"{row.measure.name} {row.dataset}"
    if row.value is None:
        return f"{where}: {row.note}"
    lower, upper = row.interval
    why = f", {row.note}" if row.note else ""
    return (
        f"{where} between {_value(row, lower)} and {_value(row, upper)}, margin {_value(row, row.margin)}"
        f"{why}; more items would decide"
    )


def _equality(row: Row) -> str:
    upper = _value(row, max(0.0, row.interval[1]))
    return f"{row.measure.name} {row.dataset} at most {upper} (margin {_value(row, row.margin)})"


def _value(row: Row, value: float) -> str:
    return f"{100 * value:.1f} %" if row.measure.is_rate else f"{value:.4f}"


def _answers(row: Row, a: Record, b: Record) -> tuple[str, str]:
    """Return the answers of two records of an item in the terms of the measure."""
    if row.measure.task == "assessment":
        return _score(a), _score(b)
    before, after = shortened_pair(_said(a), _said(b), TEXT)
    if row.measure.name != "perception.drift":
        return repr(before), repr(after)
    return f"{before!r}{_probability(a)}", f"{after!r}{_probability(b)}"


def _score(record: Record) -> str:
    return "no score" if record.score is None else f"{record.score:.4f}"


def _said(record: Record) -> str:
    answer = record.choice if record.choice is not None else record.response
    return " ".join((answer or "").split())


def _probability(record: Record) -> str:
    if not record.logprobs or record.choice is None:
        return ""
    return f" (probability {probabilities(record.logprobs)[record.choice]:.3f})"
