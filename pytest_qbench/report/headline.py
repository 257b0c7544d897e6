"""What a reader wants first, for every report alike: the verdict as a sentence, and the judged rows by harm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pytest_qbench.gates.reasons import open_sentence
from pytest_qbench.metrics.metrics import ALPHA, Metric
from pytest_qbench.report.finished_run import Finished
from pytest_qbench.report.labels import (
    before_text,
    change_text,
    row_label,
    short_name,
    shortened_id,
    size_text,
    title_of,
    value_text,
)
from pytest_qbench.runs.summary_parts import OUTCOMES, Gate

TILES = 4
_ROW_URGENCY = ("invalid", "regressed", "inconclusive")
_GOOD = ("PASS", "BASELINE RECORDED")
_BAD = ("NOT MEASURED", "REGRESSED", "INVALID", "FAILED", "OUT OF BOUNDS")
MINI = "trial data, not Q-Bench"


@dataclass(frozen=True, slots=True)
class Judged:
    """A row of a gate: one dataset or slice. `row` is None where the gate could not get so far."""

    gate: Gate
    row: Metric | None

    @property
    def label(self) -> str:
        """What was judged."""
        return self.gate.name if self.row is None else title_of(self.row)

    @property
    def verdict(self) -> str:
        """The verdict in the word that every report uses."""
        if self.row is None or self.row.verdict is None or self.gate.word != self.gate.verdict:
            return self.gate.word
        return self.row.verdict

    @property
    def tone(self) -> str:
        """good, bad or open: how the row is coloured."""
        if self.gate.outcome == "not gated" or self.gate.word in ("no baseline yet", "not measured", "not gated"):
            return "open"
        if self.verdict in ("pass", "improved"):
            return "good"
        is_the_cause = self.gate.outcome == "fail" and self.verdict == self.gate.verdict
        return "bad" if self.verdict in ("regressed", "out of bounds") or is_the_cause else "open"

    @property
    def is_identical(self) -> bool:
        """Whether every item came out as in the baseline: there is no interval to draw."""
        return self.row is not None and bool(self.row.identical)


def judged_rows(run: Finished) -> list[Judged]:
    """One row per gate and dataset, what failed first."""
    gates = sorted(run.gates, key=lambda gate: OUTCOMES.index(gate.outcome))
    found = []
    for gate in gates:
        rows = sorted(gate.rows, key=_harm)
        found += [Judged(gate, row) for row in rows] or [Judged(gate, None)]
    return found


def _harm(row: Metric) -> tuple[int, float]:
    urgency = _ROW_URGENCY.index(row.verdict) if row.verdict in _ROW_URGENCY else len(_ROW_URGENCY)
    return urgency, (row.delta or 0.0) / (row.margin or 1.0)


def tile_rows(run: Finished) -> list[Judged]:
    """The rows for the tiles: the worst of every gate, then others, at most `TILES`."""
    rows = [one for one in judged_rows(run) if one.row is not None and one.row.value is not None]
    worst = list({one.gate.name: one for one in reversed(rows)}.values())[::-1]
    chosen = (worst + [one for one in rows if one not in worst])[:TILES]
    return [one for one in rows if one in chosen]


def totals(run: Finished) -> list[Metric]:
    """The main numbers of a run: accuracy, judged sum and SRCC, each dataset's."""
    names = ("perception.accuracy", "description.sum", "assessment.srcc")
    return [m for name in names for m in run.of(name) if m.slice is None]


def word_of(run: Finished) -> str:
    """The verdict in one or two words, in capitals."""
    return run.summary.verdict.partition(":")[0]


def tone_of(word: str) -> str:
    """good, bad or open."""
    return "good" if word in _GOOD else "bad" if word.startswith(_BAD) else "open"


def headline(run: Finished) -> str:
    """The verdict as a sentence with its numbers, where a comparison led to it; else the summary's verdict."""
    verdict = run.summary.verdict
    word = word_of(run)
    if "; " in verdict or word.startswith(("INVALID", "OUT OF BOUNDS")):  # it names more than one number can tell
        return verdict
    rows = [one for one in judged_rows(run) if one.row is not None and one.row.delta is not None]
    deciding = [one for one in rows if one.gate.outcome in ("fail", "inconclusive") and one.verdict == one.gate.verdict]
    if not deciding or tone_of(word) == "good" or word.startswith(("FAILED", "NOT")):
        return verdict
    first = deciding[0]
    assert first.row is not None
    told = _fell(first.row) if first.verdict == "regressed" else _open(first.row)
    more = _more(deciding[1:])
    note = verdict[verdict.rindex(" (not measured") :] if " (not measured" in verdict else ""
    return f"{word}: {told}{more}{note}"


def _fell(m: Metric) -> str:
    text = f"{_on(m)} fell by {change_text(m.name, m.delta).lstrip('+-')}"
    return f"{text} ({before_text(m)} -> {value_text(m.name, m.value)}), allowed {size_text(m.name, m.margin)}"


def _open(m: Metric) -> str:
    return f"{_on(m)}: {open_sentence(m)}"


def _on(m: Metric) -> str:
    return f"{short_name(m.name)} {'on ' if m.dataset else 'of '}{row_label(m)}"


def _more(others: Sequence[Judged]) -> str:
    counts: dict[str, int] = {}
    for one in others:
        counts[one.verdict] = counts.get(one.verdict, 0) + 1
    return "".join(f"; {count} more {word}" for word, count in counts.items())


def moved_most(run: Finished, most: int = 2) -> list[Metric]:
    """The slices of accuracy that fell the most, beside a total that moved."""
    fell = [m for m in run.of("perception.accuracy") if m.slice and m.delta is not None and m.delta < 0]
    return sorted(fell, key=lambda m: m.delta or 0.0)[:most]


def subject(run: Finished) -> list[str]:
    """Who was compared with whom, on what: model and baseline, data, counts."""
    made, counts, baseline = run.summary.fingerprint, run.summary.items, run.summary.baseline
    if baseline.recorded is not None:
        since = f" ({day(baseline.recorded)})" if baseline.recorded else ""
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


def drift_lines(run: Finished) -> list[str]:
    """What moved beyond the noise floor, in one line, and what the model's conditions say of it."""
    rows = {(m.name, m.dataset): m for m in run.metrics if m.slice is None}
    moved = [rows[one.name, one.dataset] for one in run.summary.drifts if one.moved]
    if not moved:
        return []
    times = [m.value / m.baseline for m in moved if m.value is not None and m.baseline]
    size = f"{max(times):.0f} times the noise floor" if times else "above the noise floor"
    return [f"drift {size}: model or stack changed{_difference(run)}"]


def _difference(run: Finished) -> str:
    differs = [one for one in run.summary.made_otherwise if one.startswith("model.weights")]
    return f" ({shortened_id(differs[0].removeprefix('model.'))})" if differs else ""


def level_text(rows: Sequence[Metric]) -> str:
    """The level of the intervals of changes: "90 % interval", which leaves alpha in each tail."""
    return f"{100 * (1 - 2 * ALPHA):.0f} % interval" if any(m.delta_ci for m in rows) else "interval"


def day(stamp: str) -> str:
    """The date of an ISO time stamp: "25 Nov 2026"; another text as it is."""
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return f"{at.day} {at:%b %Y}"


def minute(stamp: str) -> str:
    """An ISO time stamp in UTC to the minute: "25 Nov 2026, 13:57 UTC"; another text as it is."""
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def next_step(run: Finished) -> list[str]:
    """Return the likely cause of a verdict that is not green and the next step, in one line; empty for a green one."""
    word = word_of(run)
    if word == "NOT MEASURED":
        return ["run the whole suite, narrow it with --qbench-tasks, or measure only with --qbench-no-gates"]
    failed = {gate.verdict for gate in run.gates if gate.outcome == "fail"}
    if "regressed" in failed:
        return [
            "a real drop: read what was lost, by slice; then reject the model, or accept the drop in a commit of its "
            "own with --qbench-update-baseline --qbench-accept-regression"
        ]
    if "invalid" in failed:
        return ["not measured: fix what the reason names, and run again"]
    if tone_of(word) != "open" or not any(gate.verdict == "inconclusive" for gate in run.gates):
        return []
    if drift_lines(run):
        return [
            "drift above the noise floor: the model changed by less than this data can see; look at the flips, run the "
            "full data, or widen the margin on purpose; --qbench-strict refuses such a release"
        ]
    if run.summary.drifts:
        return ["drift within the noise floor: likely the same model; ship it, or run more items to prove it"]
    return ["no drift was judged: look at the flips, and run more items or widen the margin on purpose"]
