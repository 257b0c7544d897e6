"""A table of a finished run's correlations under all scoring strategies: `qbench report RUN --scoring=all`."""

from __future__ import annotations

from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.rescoring import compare_answers, compare_strategies
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.text_table import aligned
from pytest_qbench.scoring.score import DEFAULT


def rescoring_lines(run: FinishedRun) -> list[str]:
    """Return the tables of other rules for answers and of all strategies for scores, as lines.

    Raises `UsageError` if no log-probabilities were recorded.
    """
    chosen = run.summary.fingerprint.scoring or DEFAULT
    answers = _answer_rules(run)
    compared = compare_strategies(run.records.values(), chosen)
    measured = [one for one in compared if one.metrics]
    if not measured and answers:
        return answers
    if not measured:
        raise UsageError(
            f"{run.folder}: no log-probabilities of quality words were recorded, so no score can be recomputed"
        )
    datasets = list(dict.fromkeys(m.dataset for one in measured for m in one.metrics if m.dataset))
    head = ["scoring (SRCC / PLCC)", *datasets, "mean"]
    rows = [head]
    for i, one in enumerate(measured):
        values = {(m.name, m.dataset): m.value for m in one.metrics}
        cells = [
            _pair(values, dataset) for dataset in (*datasets, None if len(one.metrics) > 2 * len(datasets) else "-")
        ]
        rows.append([one.strategy.name + (" (chosen)" if i == 0 else ""), *cells])
    lines = aligned(rows)
    for one in compared:
        if one.missing:
            lines.append(f"  {one.strategy.name}: not recorded: {', '.join(one.missing)}")
    if chosen.averages_halves:
        lines.append("  a database of two halves counts by the mean of their correlations")
    return [*answers, *lines]


def _answer_rules(run: FinishedRun) -> list[str]:
    """A table of the rules by which likelihoods choose an option; empty for a run by text or by perplexity."""
    if run.summary.fingerprint.answer != "likelihood":
        return []
    found = compare_answers(run.records.values())
    rows = [
        (one.rule, one.dataset, f"{one.correct / one.items:.4f}", str(one.items), str(one.changed)) for one in found
    ]
    return aligned([("answer by", "data", "accuracy", "items", "other choices"), *rows], left=2) if rows else []


def _pair(values: dict[tuple[str, str | None], float | None], dataset: str | None) -> str:
    if ("assessment.srcc", dataset) not in values:
        return "-"
    cells = (values[name, dataset] for name in ("assessment.srcc", "assessment.plcc"))
    return " / ".join("undefined" if value is None else f"{value:.3f}" for value in cells)
