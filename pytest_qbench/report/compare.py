"""Compare two finished runs: every metric with its change, the gates, the drift, the flips."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pytest_qbench.baseline.align import align, describe_match
from pytest_qbench.baseline.baseline import Baseline, MissingBaseline
from pytest_qbench.baseline.snapshot import comparable_records
from pytest_qbench.gates.comparison import Comparison, check_comparable, drifts
from pytest_qbench.gates.evaluate import GateResult, Limits, evaluate
from pytest_qbench.gates.targets import InvalidError
from pytest_qbench.metrics.fingerprint import other_differences
from pytest_qbench.metrics.metric import ALPHA, Metric
from pytest_qbench.metrics.results import Results
from pytest_qbench.metrics.specs import METRICS, task_of
from pytest_qbench.records import Record
from pytest_qbench.report.finished_run import FinishedRun, RunData
from pytest_qbench.report.labels import mean_label, plural, shortened_id
from pytest_qbench.report.run_summary import run_summary
from pytest_qbench.report.terminal import flip_text
from pytest_qbench.report.text_table import aligned
from pytest_qbench.runs.summary_parts import Flip
from pytest_qbench.stats.resampling import Undefined

HEAD = ["metric", "dataset", "slice", "A", "B", "change", "90 % interval", "p", "verdict"]


@dataclass(frozen=True)
class ComparisonResult:
    """The comparison of run B with run A: its lines, its verdict and its gates."""

    lines: list[str]
    verdict: str
    gates: list[GateResult]

    @property
    def verdicts(self) -> set[str]:
        """The verdicts of the gates that could be judged. Empty if there is none."""
        return {gate.verdict for gate in self.gates if not gate.nothing}


def compare(
    new: Results, old: Baseline | MissingBaseline, margins: Mapping[str, float], limits: Limits, flips: int
) -> ComparisonResult:
    """Compare run B (`new`) with run A (`old`) by one gate per metric of `margins`. The gates share alpha, as in a run.

    `flips` is the maximum number of lost and of gained items that are listed.
    """
    old = old if isinstance(old, MissingBaseline) else align(old, new.expected)
    gates = _judge(new, old, margins, limits)
    judged = {(m.name, m.dataset, m.slice): m for gate in gates for m in gate.rows}
    comparable = _comparable_places(new, old)
    rows = [HEAD, *(_row(m, new, old, comparable, judged, limits.seed) for m in new.metrics if m.name in METRICS)]
    lines = aligned(rows, left=3)
    smoothed = {m.name for gate in gates for m in gate.rows if m.is_smoothed}
    lines += [
        f"change of {name}: that of the accuracy smoothed over the likelihoods of the options, which decides; "
        "it is not exactly B - A"
        for name in sorted(smoothed)
    ]
    lines += [f"gate {g.name}: {'not measured' if g.nothing else g.verdict} ({g.reason})" for g in gates]
    if not isinstance(old, MissingBaseline):
        lines += [text for text in [describe_match(old.matched)] if text]
        lines += [
            f"drift of {m.name.partition('.')[0]} {m.dataset}: {m.value:.4f}, {m.note}" for m, _ in drifts(new, old)
        ]
        lines += [f"differs: {shortened_id(one)}" for one in other_differences(old.fingerprint, new.fingerprint)]
    for gate in gates:
        lines += _flips(gate.name, "lost", gate.lost, gate.lost_count, flips)
        lines += _flips(gate.name, "gained", gate.gained, gate.gained_count, flips)
    return ComparisonResult(lines, _verdict([gate for gate in gates if not gate.nothing]), gates)


def _judge(
    new: Results, old: Baseline | MissingBaseline, margins: Mapping[str, float], limits: Limits
) -> list[GateResult]:
    """Return one gate result per metric, in the order of `margins`.

    As in the suites, gates are judged in alphabetical order, and each gets the alpha that earlier ones did not spend.
    """
    found: dict[str, GateResult] = {}
    leftover = 0.0
    for name in sorted(margins):
        found[name] = evaluate(name, new, old, replace(limits, leftover=leftover), margin=margins[name])
        leftover = found[name].unspent
    return [found[name] for name in margins]


def as_finished(
    found: ComparisonResult, new: Results, old: Baseline | MissingBaseline, a: Path, b: Path, strict: bool
) -> FinishedRun:
    """Return the comparison of folder `b` with folder `a` as a finished run, from which reports are written."""
    known = comparable_records(new, old)
    # The diagnostics of perception need options, which a baseline does not store.
    has_options = all(item.options for item in new.expected.values() if item.task == "perception")
    diagnostics = new.diagnostics if has_options else []
    moved = [] if isinstance(old, MissingBaseline) else drifts(new, old)
    summary = run_summary(
        new, old, found.gates, lambda gate: _outcome(gate, strict), moved, known, diagnostics=diagnostics,
        baseline_name=a.name, began=datetime.now(UTC).isoformat(timespec="seconds"), verdict=found.verdict,
    )  # fmt: skip
    return FinishedRun(b, summary, RunData(new.expected, _by_key(new.records), _by_key(known)))


def _by_key(records: Sequence[Record]) -> dict[tuple[str, str], Record]:
    return {(r.task, r.item): r for r in records}


def _outcome(gate: GateResult, strict: bool) -> str:
    if gate.nothing:
        return "not gated"
    if gate.verdict == "inconclusive":
        return "fail" if strict else "inconclusive"
    return "fail" if gate.verdict in ("regressed", "invalid") else "pass"


def _verdict(judged: Sequence[GateResult]) -> str:
    for verdict, word in (("invalid", "INVALID"), ("regressed", "REGRESSED"), ("inconclusive", "CANNOT TELL")):
        if found := [gate.name for gate in judged if gate.verdict == verdict]:
            return f"{word}: {', '.join(found)}"
    if not judged:
        return "NOTHING COMPARED: no gate could be judged"
    better = [gate.name for gate in judged if gate.verdict == "improved"]
    return f"PASS: {len(judged)} of {len(judged)} gates hold" + (f", improved: {', '.join(better)}" if better else "")


def _comparable_places(new: Results, old: Baseline | MissingBaseline) -> set[tuple[str, str]]:
    """Return task and dataset of the metrics that can be compared. All slices of a dataset need one check."""
    places: set[tuple[str, str]] = set()
    if isinstance(old, MissingBaseline):
        return places
    wanted = {(task_of(m.name), m.dataset): m.name for m in new.metrics if m.dataset and m.name in METRICS}
    for (task, dataset), name in wanted.items():
        with suppress(InvalidError):
            check_comparable(name, new, old, dataset)
            places.add((task, dataset))
    return places


def _row(
    m: Metric,
    new: Results,
    old: Baseline | MissingBaseline,
    comparable: Container[tuple[str, str]],
    judged: Mapping[tuple[str, str | None, str | None], Metric],
    seed: int,
) -> list[str]:
    """Return the cells of a metric. The interval leaves alpha in each tail, as those of the gates."""
    cells = [
        m.name,
        m.dataset or mean_label(m.datasets),
        m.slice or "",
        "-",
        "undefined" if m.value is None else f"{m.value:.4f}",
    ]
    row = judged.get((m.name, m.dataset, m.slice))
    verdict = (row.verdict if row else None) or ""
    if m.dataset is None and m.value is not None and isinstance(old, Baseline) and not new.is_narrowed:
        before = old.value(m.name, None, None)  # for other datasets than now, the gates are invalid
        change = "-" if before is None else f"{m.value - before:+.4f}"
        cells[3] = "-" if before is None else f"{before:.4f}"
        if row is None or row.delta_ci is None or row.p_value is None:
            return [*cells, change, "", "", verdict]
        return [*cells, change, _interval(*row.delta_ci), f"{row.p_value:.2g}", verdict]
    if (
        m.dataset is None
        or m.value is None
        or isinstance(old, MissingBaseline)
        or m.slice in ("half=mean", "half=together")
    ):
        return [*cells, "-", "", "", verdict]
    if (task_of(m.name), m.dataset) not in comparable:
        return [*cells, "not comparable", "", "", verdict]
    comparison = Comparison(m.name, m.dataset, m.slice, new, old)
    try:
        paired = comparison.paired(ALPHA, seed)
        value = comparison.old_value
    except (InvalidError, Undefined):
        return [*cells, "not comparable", "", "", verdict]
    cells[3] = "undefined" if value is None else f"{value:.4f}"
    interval = _interval(paired.lower, paired.upper)
    return [*cells, f"{paired.delta:+.4f}", interval, f"{paired.p_value:.2g}", verdict]


def _interval(lower: float, upper: float) -> str:
    return f"[{lower:+.4f}, {upper:+.4f}]"


def _flips(gate: str, way: str, found: Sequence[Flip], count: int, most: int) -> list[str]:
    if not found or not most:
        return []
    lines = [f"{gate}: {plural(count, 'item')} {way} (A -> B):"]
    lines += [f"  {flip_text(flip)}" for flip in found[:most]]
    return lines + ([f"  ... and {count - most:,} more (--flips=N)"] if count > most else [])
