"""The summary in the terminal, by pytest's own writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_qbench.judges.base import DIMENSIONS
from pytest_qbench.report.blind import sight
from pytest_qbench.report.summary import rows_of, verdict_line
from pytest_qbench.report.tables import aligned

if TYPE_CHECKING:
    from pytest_qbench.flips import Flip
    from pytest_qbench.gates import GateResult
    from pytest_qbench.metrics import Metric
    from pytest_qbench.session import QBench

NOT_QBENCH = "mini (embedded trial data: it is not Q-Bench)"
COLOURS = dict.fromkeys(("REGRESSED", "INVALID", "FAILED"), "red") | dict.fromkeys(
    ("PASS", "BASELINE RECORDED"), "green"
)
FLIPS_SHOWN = 10


def header(run: QBench) -> str:
    """One line for the session header."""
    data = NOT_QBENCH if run.settings.data == "mini" else run.settings.data
    blind = ", blind (grey images)" if run.settings.blind else ""
    return f"qbench: model {run.settings.model}, data {data}{blind}"


def gate_text(result: GateResult) -> str:
    """What a failing gate prints: the reason, the comparison row by row, then the items that were lost."""
    lines = [f"{result.name} {result.verdict}: {result.reason}"]
    if compared := [m for m in result.rows if m.delta_ci is not None]:
        lines += aligned([COMPARED, *map(_compared, compared)], left=1)
    if result.lost:
        lines.append(f"{len(result.lost)} items lost, {len(result.gained)} gained; before -> now:")
        lines += [_flip(flip) for flip in result.lost[:FLIPS_SHOWN]]
        if len(result.lost) > FLIPS_SHOWN:
            lines.append(f"  ... and {len(result.lost) - FLIPS_SHOWN} more in summary.json")
    return "\n".join(lines)


COMPARED = ["", "now", "baseline", "change", "interval", "p", "alpha", "margin", "MDE", "verdict"]


def _compared(m: Metric) -> list[str]:
    assert m.delta_ci is not None
    place = " ".join(p for p in (m.dataset or "all datasets together", m.slice) if p)
    numbers = [f"{v:.4f}" if v is not None else "-" for v in (m.value, m.baseline)]
    change = [f"{m.delta:+.4f}", f"[{m.delta_ci[0]:+.4f}, {m.delta_ci[1]:+.4f}]", f"{m.p_value:.2g}", f"{m.alpha:.2g}"]
    mde = "none" if m.mde is None else f"{m.mde:.4f}"
    return [place, *numbers, *change, f"{m.margin:g}", mde, m.verdict or "-"]


def _flip(flip: Flip) -> str:
    before, after = (text if text is None else " ".join(text.split())[:60] for text in (flip.before, flip.after))
    return f"  {flip.item}: {flip.question} {before!r} -> {after!r}"


def _cell(m: Metric | None) -> str:
    """Value, and the change against the baseline where a gate compared it."""
    if m is None:
        return "-"
    if m.value is None:
        return "undefined"
    return f"{m.value:.4f}" + (f" ({m.delta:+.4f})" if m.delta is not None else "")


def _ci(m: Metric) -> str:
    return f"[{m.ci[0]:.3f}, {m.ci[1]:.3f}]" if m.ci else ""


def _perception(
    metrics: list[Metric], diagnostics: list[Metric], dataset: str, baseline: dict[str, float | None]
) -> list[str]:
    rows = [["perception " + dataset, "accuracy", "baseline", "95 % interval", "items"]]
    for m in metrics:
        if m.dataset == dataset and m.name == "perception.accuracy":
            label = "all" if m.slice is None else m.slice.replace("=", " ").replace("_", " ")
            old = baseline.get(m.slice or "")
            rows.append([label, _cell(m), "-" if old is None else f"{old:.4f}", _ci(m), str(m.n)])
    rates = {m.name: m for m in metrics if m.dataset == dataset and m.slice is None}
    tail = [
        f"{name.partition('.')[2].replace('_', ' ')} {_cell(rates[name])}"
        for name in ("perception.unparsed_rate", "perception.yes_rate", "perception.confidence")
        if name in rates
    ]
    beside = {m.name: m for m in diagnostics if m.dataset == dataset and m.slice is None and m.value is not None}
    told = (
        ("perception.accuracy_parsed", "accuracy without unparsed"),
        ("perception.accuracy_yes", "where the answer is yes"),
        ("perception.accuracy_no", "where it is no"),
        ("perception.position_bias", "position bias"),
    )
    more = [f"{words} {_cell(beside[name])}" for name, words in told if name in beside]
    return [*aligned(rows), "  " + ", ".join(tail), *(["  " + ", ".join(more)] if more else [])]


def _description(metrics: list[Metric], diagnostics: list[Metric], dataset: str) -> list[str]:
    rows = [["description " + dataset, "mean", "95 % interval", "items", *(TRUST.values())]]
    beside = {m.name: m for m in diagnostics if m.dataset == dataset}
    for part in (*DIMENSIONS, "sum"):
        m = next(m for m in metrics if m.dataset == dataset and m.name == f"description.{part}")
        more = [beside.get(f"description.{part}_{key}") for key in TRUST]
        rows.append([part, _cell(m), _ci(m), str(m.n), *("" if x is None else _short(x) for x in more)])
    unread = beside.get("description.unreadable_rate")
    return [*aligned(rows), *([f"  unreadable verdicts {_cell(unread)}"] if unread and unread.value else [])]


# What stands beside a judged mean: the shares of 0, 1 and 2, agreement of the rounds (Krippendorff), variances.
TRUST = {
    "p0": "P0",
    "p1": "P1",
    "p2": "P2",
    "alpha": "alpha",
    "item_variance": "var. items",
    "round_variance": "rounds",
}


def _short(m: Metric) -> str:
    return "-" if m.value is None else f"{m.value:.3f}"


def _judge(run: QBench) -> list[str]:
    """What the control set and the votes on unparsed replies say of the judge."""
    judge, control = (run.results.fingerprint.get(key) for key in ("judge", "judge_control"))
    if not judge:
        return []
    lines = []
    if control and not control["failed"]:
        n = sum(len(rows) for rows in control["scores"].values())
        lines.append(f"judge {judge['name']}: passed its control set of {n} texts")
    elif control:
        lines.append(f"judge {judge['name']}: FAILED its control set: {control['failed']}")
    voted = [r for r in run.results.records if r.task == "perception" and r.judge is not None]
    if voted:
        read = sum(r.status != "unparsed" for r in voted)
        lines.append(f"judge {judge['name']}: read {read} of {len(voted)} replies that extraction left unparsed")
    return lines


def _usage(role: str, usage: dict[str, Any]) -> str:
    cost = "" if usage["cost"] is None else f", cost ${usage['cost']:.4f}"
    return (
        f"endpoint of the {role}: {usage['requests']} requests ({usage['retries']} repeats), {usage['cache_hits']} "
        f"from the cache, {usage['prompt_tokens']} + {usage['completion_tokens']} tokens{cost}"
    )


def _beside(m: Metric | None) -> str:
    """A diagnostic; where the logistic fit found nothing the cell says so, and `summary.json` why."""
    if m is None:
        return ""
    if m.value is None:
        return "no fit" if m.name.endswith("_fitted") else "undefined"
    return f"{m.value:.0f}" if m.name == "assessment.distinct_scores" else f"{m.value:.4f}"


# Diagnostics and their columns: Kendall's tau, PLCC and RMSE after the logistic fit, how finely the scores tell apart.
BESIDE = {
    "assessment.krcc": "KRCC",
    "assessment.plcc_fitted": "PLCC fitted",
    "assessment.rmse_fitted": "RMSE fitted",
    "assessment.distinct_scores": "distinct",
    "assessment.tied_share": "tied",
}


def _assessment(metrics: list[Metric], diagnostics: list[Metric]) -> list[str]:
    rows = [["assessment", "SRCC", "PLCC", "95 % of SRCC", "items", *BESIDE.values()]]
    beside = {(m.dataset, m.name): m for m in diagnostics}
    plccs = {(m.dataset, m.slice): m for m in metrics if m.name == "assessment.plcc"}
    for m in (m for m in metrics if m.name == "assessment.srcc"):
        plcc = plccs.get((m.dataset, m.slice))
        more = [_beside(beside.get((m.dataset, key)) if m.slice is None else None) for key in BESIDE]
        name = (m.dataset or "mean of datasets") + (f" {m.slice.replace('=', ' ')}" if m.slice else "")
        rows.append([name, _cell(m), _cell(plcc), _ci(m), str(m.n), *more])
    return aligned(rows)


def tables(run: QBench) -> list[list[str]]:
    """Return the tables of the run, each a list of lines."""
    from pytest_qbench.baselines import Baseline

    metrics, diagnostics, shown = rows_of(run), run.results.diagnostics, []
    for name in dict.fromkeys(m.dataset for m in metrics if m.name == "perception.accuracy" and m.dataset):
        stored = run.baseline.metrics if isinstance(run.baseline, Baseline) else ()
        old = {m.slice or "": m.value for m in stored if m.name == "perception.accuracy" and m.dataset == name}
        whole = run.settings.limit is None and run.settings.datasets is None
        shown.append(_perception(metrics, diagnostics, name, old if whole else {}))
    for name in dict.fromkeys(m.dataset for m in metrics if m.name == "description.sum" and m.dataset):
        shown.append(_description(metrics, diagnostics, name))
        for m in diagnostics:
            if (m.name, m.dataset) == ("description.golden_agreement", name):
                shown[-1].append(
                    f"  golden texts of an item share {_cell(m)} of their words (F1, {m.n} items with several)"
                )
    if any(m.name == "assessment.srcc" for m in metrics):
        s = run.scoring
        halves = "; a database of two halves by the mean of their correlations" if s.halves else ""
        scoring = f"  scores: softmax of {s.words[0]} and {s.words[1]}, temperature {s.temperature:g}{halves}"
        shown.append([*_assessment(metrics, diagnostics), scoring])
    return shown


def show(reporter: Any, run: QBench) -> None:
    """Write the section; with -q only verdict, gates and files."""
    reporter.write_sep("=", "Q-Bench")
    if run.settings.data == "mini":
        reporter.write_line(f"data: {NOT_QBENCH}")
    if reporter.verbosity >= 0:
        for lines in tables(run):
            for i, line in enumerate(lines):
                reporter.write_line(line, bold=i == 0)
        if found := sight(run):
            seeing, blind = found
            line = f"  accuracy with sight {seeing:.4f}, blind {blind:.4f}: seeing adds {seeing - blind:+.4f}"
            reporter.write_line(line)
    counts = run.results.counts()
    reporter.write_line(
        f"items: {counts['scored']} scored, {counts['unparsed']} unparsed, {counts['errors']} errors, "
        f"{counts['total'] - len(run.results.records)} missing of {counts['total']}"
    )
    for line in _judge(run):
        reporter.write_line(line, red="FAILED" in line)
    for role, usage in run.remote.usage.items():
        reporter.write_line(_usage(role, usage))
    for entry in run.results.left_out[:FLIPS_SHOWN]:
        reporter.write_line(f"left out: {entry.dataset} {entry.entry}: {entry.reason}")
    if (more := len(run.results.left_out) - FLIPS_SHOWN) > 0:
        reporter.write_line(f"left out: {more} more, in summary.json")
    for gate in run.gates:
        colour = {"pass": "green", "improved": "green", "inconclusive": "yellow"}.get(
            gate.verdict, "yellow" if gate.nothing else "red"
        )
        verdict = "not gated" if gate.nothing else gate.verdict
        reporter.write_line(f"gate {gate.name}: {verdict} ({gate.reason})", **{colour: True})
    for row, moved in run.drifts:
        line = f"drift of {row.name.partition('.')[0]} {row.dataset}: {row.value:.4f}, {row.note}"
        reporter.write_line(line + (": this is not the model of the baseline" if moved else ""), yellow=moved)
    if differs := run.made_otherwise:
        rest = f" and {len(differs) - FLIPS_SHOWN} more in summary.json" if len(differs) > FLIPS_SHOWN else ""
        reporter.write_line(f"made otherwise than the baseline: {'; '.join(differs[:FLIPS_SHOWN])}{rest}")
    for note in run.notes:
        reporter.write_line(note, red=True)
    if run.baseline_written:
        for change in run.changes:
            reporter.write_line(change)
        reporter.write_line(f"baseline recorded: {run.baseline_written}")
    for submission in run.submissions:
        reporter.write_line(submission)
    reporter.write_line(f"files: {run.folder.path}")
    line = verdict_line(run)
    reporter.write_line(line, bold=True, **{COLOURS.get(line.partition(":")[0], "yellow"): True})
