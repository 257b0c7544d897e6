"""The head of every report: the verdict as a sentence, and the rows of the gates, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pytest_qbench.gates.reasons import amount, explain_inconclusive, explain_loss
from pytest_qbench.metrics.metric import ALPHA, Metric
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.labels import (
    before_text,
    row_label,
    short_name,
    shortened_id,
    size_text,
    title_of,
    value_text,
)
from pytest_qbench.runs.summary_parts import OUTCOMES, Gate

TILES = 4
_WORST_VERDICTS = ("invalid", "regressed", "inconclusive")
_GOOD = ("PASS", "BASELINE RECORDED")
_BAD = ("NOT MEASURED", "REGRESSED", "INVALID", "FAILED", "OUT OF BOUNDS")
MINI = "trial data, not Q-Bench"


@dataclass(frozen=True, slots=True)
class JudgedRow:
    """A row of a gate, for one dataset or slice. `row` is None if the gate failed before it had any row."""

    gate: Gate
    row: Metric | None

    @property
    def label(self) -> str:
        """Metric, dataset and slice, or the name of the gate without a row."""
        return self.gate.name if self.row is None else title_of(self.row)

    @property
    def verdict(self) -> str:
        """The verdict, in the words of all reports."""
        if self.row is None or self.row.verdict is None or self.gate.word != self.gate.verdict:
            return self.gate.word
        return self.row.verdict

    @property
    def tone(self) -> str:
        """Colour of the row: "good", "bad" or "open"."""
        if self.gate.outcome == "not gated" or self.gate.word in ("no baseline yet", "not measured", "not gated"):
            return "open"
        if self.verdict in ("pass", "improved"):
            return "good"
        is_the_cause = self.gate.outcome == "fail" and self.verdict == self.gate.verdict
        return "bad" if self.verdict in ("regressed", "out of bounds") or is_the_cause else "open"

    @property
    def is_identical(self) -> bool:
        """Whether every item has the same result as in the baseline. Such a row has no interval."""
        return self.row is not None and bool(self.row.identical)


def judged_rows(run: FinishedRun) -> list[JudgedRow]:
    """Return one row per gate and dataset, failed gates first."""
    gates = sorted(run.gates, key=lambda gate: OUTCOMES.index(gate.outcome))
    found = []
    for gate in gates:
        rows = sorted(gate.rows, key=_harm)
        found += [JudgedRow(gate, row) for row in rows] or [JudgedRow(gate, None)]
    return found


def _harm(row: Metric) -> tuple[int, bool, float]:
    """Return a key that sorts rows by verdict, then by the change in margins, worst first.

    The mean of datasets decides whether an open gate passes, so it stands above them. A regressed row decides alone.
    """
    rank = _WORST_VERDICTS.index(row.verdict) if row.verdict in _WORST_VERDICTS else len(_WORST_VERDICTS)
    return rank, row.verdict != "regressed" and row.dataset is not None, (row.delta or 0.0) / (row.margin or 1.0)


def tile_rows(run: FinishedRun) -> list[JudgedRow]:
    """Return at most `TILES` rows for the tiles: the worst row of each gate, then others."""
    rows = [one for one in judged_rows(run) if one.row is not None and one.row.value is not None]
    worst = list({one.gate.name: one for one in reversed(rows)}.values())[::-1]
    chosen = (worst + [one for one in rows if one not in worst])[:TILES]
    return [one for one in rows if one in chosen]


def totals(run: FinishedRun) -> list[Metric]:
    """Return the main metrics of a run: accuracy, judged sum and SRCC, without slices."""
    names = ("perception.accuracy", "description.sum", "assessment.srcc")
    return [m for name in names for m in run.of(name) if m.slice is None]


def word_of(run: FinishedRun) -> str:
    """Return the verdict in one or two words, in capitals."""
    return run.summary.verdict.partition(":")[0]


def tone_of(word: str) -> str:
    """Return the colour of a verdict in capitals: "good", "bad" or "open"."""
    return "good" if word in _GOOD else "bad" if word.startswith(_BAD) else "open"


def headline(run: FinishedRun) -> str:
    """Return the verdict as a sentence. It contains the deciding numbers if a comparison led to the verdict."""
    verdict = run.summary.verdict
    word = word_of(run)
    if "; " in verdict or word.startswith(("INVALID", "OUT OF BOUNDS")):  # its reasons are more than one number
        return verdict
    rows = [one for one in judged_rows(run) if one.row is not None and one.row.delta is not None]
    deciding = [one for one in rows if one.gate.outcome in ("fail", "inconclusive") and one.verdict == one.gate.verdict]
    if not deciding or tone_of(word) == "good" or word.startswith(("FAILED", "NOT")):
        return verdict
    first = deciding[0]
    assert first.row is not None
    reason = _drop_text(first.row) if first.verdict == "regressed" else _open(first.row)
    more = _count_others(deciding[1:])
    note = verdict[verdict.rindex(" (not measured") :] if " (not measured" in verdict else ""
    if run.summary.stopped is not None:
        note = f" ({run.summary.stopped}){note}"
    return f"{word}: {reason}{more}{note}"


def _drop_text(m: Metric) -> str:
    values = f"{before_text(m)} -> {value_text(m.name, m.value)}"
    return f"{_on(m)}: {explain_loss(m)} ({values}), allowed {size_text(m.name, m.margin)}"


def _open(m: Metric) -> str:
    return f"{_on(m)}: {explain_inconclusive(m)}"


def _on(m: Metric) -> str:
    label = row_label(m)
    if label.startswith("mean of "):
        return f"mean {short_name(m.name)} {label.removeprefix('mean ')}"
    return f"{short_name(m.name)} on {label}"


def _count_others(others: Sequence[JudgedRow]) -> str:
    counts: dict[str, int] = {}
    for one in others:
        counts[one.verdict] = counts.get(one.verdict, 0) + 1
    return "".join(f"; {count} more {word}" for word, count in counts.items())


def largest_drops(run: FinishedRun, most: int = 2) -> list[Metric]:
    """Return the `most` slices of accuracy with the largest drops."""
    fell = [m for m in run.of("perception.accuracy") if m.slice and m.delta is not None and m.delta < 0]
    return sorted(fell, key=lambda m: m.delta or 0.0)[:most]


def subject(run: FinishedRun) -> list[str]:
    """Return what was compared: model and baseline, data, counts of items."""
    made, counts, baseline = run.summary.fingerprint, run.summary.items, run.summary.baseline
    if baseline.recorded is not None:
        since = f" ({format_date(baseline.recorded)})" if baseline.recorded else ""
        against = f"against {baseline.name}{since}"
    else:
        against = "without a baseline"
    wrong = [
        f"{n:,} {word}"
        for n, word in (
            (counts.unparsed, "unparsed"),
            (counts.errors, "errors"),
            (counts.missing, "missing"),
            (counts.cut, "cut"),
        )
        if n
    ]
    return [
        f"{made.model_name} {against}",
        f"{made.data}, {MINI}" if made.data == "mini" else str(made.data),
        f"{counts.total:,} items, " + (", ".join(wrong) or "all read"),
    ]


def drift_lines(run: FinishedRun) -> list[str]:
    """Return a line about drift above the noise floor, with a change of the model's weights. Empty without drift."""
    rows = {(m.name, m.dataset): m for m in run.metrics if m.slice is None}
    moved = [rows[one.name, one.dataset] for one in run.summary.drifts if one.moved]
    if not moved:
        return []
    times = [m.value / m.baseline for m in moved if m.value is not None and m.baseline]
    size = f"{max(times):.0f} times the noise floor" if times else "above the noise floor"
    return [f"drift {size}: model or stack changed{_difference(run)}"]


def _difference(run: FinishedRun) -> str:
    differs = [one for one in run.summary.differing_conditions if one.startswith("model.weights")]
    return f" ({shortened_id(differs[0].removeprefix('model.'))})" if differs else ""


def level_text(rows: Sequence[Metric]) -> str:
    """Return the level of the intervals of changes: "90 % interval", which leaves alpha in each tail.

    Rows with intervals of several levels have just "interval".
    """
    levels = {m.delta_alpha or ALPHA for m in rows if m.delta_ci}
    return f"{100 * (1 - 2 * levels.pop()):.3g} % interval" if len(levels) == 1 else "interval"


def format_date(stamp: str) -> str:
    """Return the date of an ISO time stamp, such as "25 Nov 2026". Any other text stays unchanged."""
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return f"{at.day} {at:%b %Y}"


def format_time(stamp: str) -> str:
    """Return an ISO time stamp in UTC to the minute: "25 Nov 2026, 13:57 UTC". Any other text stays unchanged."""
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def next_step(run: FinishedRun) -> list[str]:
    """Return the likely cause of a verdict that is not green and the next step, in one line; empty for a green one."""
    word = word_of(run)
    if word == "NOT MEASURED":
        return ["run the whole suite, narrow it with --qbench-tasks, or measure only with --qbench-no-gates"]
    failed = {gate.verdict for gate in run.gates if gate.outcome == "fail"}
    if "regressed" in failed and all(gate.word == "out of bounds" for gate in run.gates if gate.verdict == "regressed"):
        return ["a value outside the bounds of the suite: read the wrong items, or change the bound on purpose"]
    if "regressed" in failed:
        return [
            "a real drop: read what was lost, by slice; then reject the model, or accept the drop in a commit of its "
            'own with --qbench-update-baseline --qbench-accept-regression --qbench-reason="why"'
        ]
    if "invalid" in failed:
        return ["not measured: fix what the reason names, and run again"]
    if tone_of(word) != "open" or not any(gate.verdict == "inconclusive" for gate in run.gates):
        return []
    if drift_lines(run):
        return [
            "drift above the noise floor: the model changed, by an amount that this data cannot bound; look at the "
            "flips, run the full data, or widen the margin on purpose; --qbench-strict refuses such a release"
        ]
    if not _has_judged_drift(run):
        return ["no drift was judged: look at the flips, and run more items or widen the margin on purpose"]
    if (wide := _widest_bound(run)) is not None:
        return [
            "drift within the noise floor: likely the same model, but this data alone cannot exclude a drop of "
            f"{wide}; run more items before you ship it"
        ]
    return ["drift within the noise floor: likely the same model; ship it, or run more items to prove it"]


def _has_judged_drift(run: FinishedRun) -> bool:
    """Return whether a drift was compared with a noise floor; a baseline may store none."""
    rows = {(m.name, m.dataset): m for m in run.metrics if m.slice is None}
    return any(rows[one.name, one.dataset].baseline is not None for one in run.summary.drifts)


_WIDE = 5.0  # times the margin: an interval that reaches further says little


def _widest_bound(run: FinishedRun) -> str | None:
    """Return the largest drop that the rows of open gates allow; None if it is less than `_WIDE` margins."""
    bounds = [
        (-row.delta_ci[0] / row.margin, row)
        for gate in run.gates
        if gate.verdict == "inconclusive"
        for row in gate.rows
        if row.verdict == "inconclusive" and row.delta_ci is not None and row.margin
    ]
    times, row = max(bounds, key=lambda bound: bound[0], default=(0.0, None))
    if row is None or times < _WIDE:
        return None
    assert row.delta_ci is not None
    return f"{amount(row.name, -row.delta_ci[0])} in {short_name(row.name)}"
