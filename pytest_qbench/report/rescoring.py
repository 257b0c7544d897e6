"""Tables of a finished run under other scoring strategies: `qbench report RUN --scoring=all`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pytest_qbench.errors import UsageError
from pytest_qbench.metrics.rescoring import Change, StrategyResult, compare_answers, compare_strategies, compare_two
from pytest_qbench.report.finished_run import FinishedRun
from pytest_qbench.report.text_table import aligned
from pytest_qbench.scoring.score import DEFAULT
from pytest_qbench.scoring.strategies import chosen_strategy, named
from pytest_qbench.stats.multiplicity import holm

SRCC, PLCC = "assessment.srcc", "assessment.plcc"
LEVEL = 0.05
REMEDY = "run again with --qbench-words=WORD,..., or choose a strategy with recorded words"
LABELS = {SRCC: "SRCC", PLCC: "PLCC"}
Place = tuple[str, str | None]
"""A metric and a dataset; the dataset None stands for the mean of datasets."""


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
    lines = [*answers, *_overview(measured, datasets)] if len(datasets) > 1 else answers
    for metric in LABELS:
        lines += _changes(measured, [*datasets, None] if len(datasets) > 1 else datasets, metric)
    for one in compared:
        lines += [*_undefined(one), *_missing(one)]
    lines.append(f"  change: from {compared[0].strategy.name}, the scoring of this run, in pairs; p: two-sided, of no "
                 "change, by Holm over the strategies of a row's data")  # fmt: skip
    if chosen.averages_halves:
        lines.append("  a database of two halves counts by the mean of their correlations")
    return lines


def two_strategies_lines(run: FinishedRun, scoring: str, against: str | None, seed: int) -> tuple[list[str], bool]:
    """Return the comparison of two strategies of one run as lines, and whether every correlation has a change.

    `against` None is the run's own scoring. Raises `UsageError` for a name that is none, and where no dataset has the
    words of both.
    """
    chosen = run.summary.fingerprint.scoring or DEFAULT
    new, old = named(scoring), chosen_strategy(chosen) if against is None else named(against)
    if new.name == old.name:
        raise UsageError(f"--scoring={new.name} is what it is compared with; name another with --against")
    found = compare_two(run.records.values(), new, old, chosen.averages_halves, seed)
    lacking = [
        f"{name} on {data}: {', '.join(_word(word, count) for word, count in words.items())}"
        for name, by_dataset in found.missing.items()
        for data, words in by_dataset.items()
    ]
    if not found.changes:
        why = f"not recorded: {lacking[0]}" if lacking else "no log-probabilities of quality words were recorded"
        raise UsageError(f"{run.folder}: {why}; {REMEDY}")
    rows = [("metric", "data", "against", "scoring", "change", "95 % interval", "p")]
    for change in found.changes:
        place = (change.metric, change.dataset)
        values = (_number(found.old[place]), _number(found.new[place]))
        rows.append((LABELS[change.metric], change.dataset or "mean", *values, *_change(change, change.p_value)))
    lines = [f"scoring: {new.name}", f"against: {old.name}", *aligned(rows, left=2)]
    lines += [f"not recorded: {text}" for text in lacking]
    lines += [f"{LABELS[c.metric]} on {c.dataset or 'mean'}: {c.problem}" for c in found.changes if c.problem]
    lines += [f"{LABELS[metric]}: {_conclusion(found.changes, metric)}" for metric in LABELS]
    return lines, not lacking and all(change.paired is not None for change in found.changes)


def _conclusion(changes: Sequence[Change], metric: str) -> str:
    """Return on which data the strategy is better and worse, by Holm at 5 %."""
    own = [c for c in changes if c.metric == metric and c.dataset is not None]
    tested = [c for c in own if c.p_value is not None]
    adjusted = holm([c.p_value for c in tested if c.p_value is not None])
    better: list[str] = []
    worse: list[str] = []
    for change, p in zip(tested, adjusted, strict=True):
        if p < LEVEL and change.paired is not None:
            (better if change.paired.delta > 0 else worse).append(str(change.dataset))
    undefined = [str(c.dataset) for c in own if c.paired is None]
    ways = (("better", better), ("worse", worse), ("undefined", undefined))
    told = [f"{word} on {', '.join(data)}" for word, data in ways if data]
    return "; ".join(told or ["no difference shown"]) + f" (of {len(own)} data, two-sided at 0.05 by Holm)"


def _overview(measured: Sequence[StrategyResult], datasets: Sequence[str]) -> list[str]:
    """Return the correlations of each strategy, a column per dataset."""
    rows = [["scoring (SRCC / PLCC)", *datasets, "mean"]]
    for one in measured:
        values = {(m.name, m.dataset): m.value for m in one.metrics}
        covered = len({m.dataset for m in one.metrics} - {None}) == len(datasets)
        cells = [_pair(values, dataset) for dataset in (*datasets, None if covered else "-")]
        rows.append([_label(one, measured), *cells])
    return [*aligned(rows), ""]


def _changes(measured: Sequence[StrategyResult], datasets: Sequence[str | None], metric: str) -> list[str]:
    """Return one correlation of each strategy and its change, dataset by dataset."""
    rows = [("scoring", "data", LABELS[metric], "95 % interval", "change", "95 % interval", "p")]
    for dataset in datasets:
        adjusted = _adjusted(measured, metric, dataset)
        for one in measured:
            found = {m.dataset: m for m in one.metrics if m.name == metric}
            if dataset not in found or (dataset is None and len(found) < len(datasets)):
                continue  # the mean over fewer datasets is another quantity
            change = next((c for c in one.changes if (c.metric, c.dataset) == (metric, dataset)), None)
            cells = _change(change, adjusted.get(one.strategy.name))
            row = found[dataset]
            rows.append((_label(one, measured), dataset or "mean", _number(row.value), _interval(row.ci, ""), *cells))
    return [*aligned(rows, left=2), ""]


def _adjusted(measured: Sequence[StrategyResult], metric: str, dataset: str | None) -> Mapping[str, float]:
    """Return Holm's p-value of each strategy's change on one dataset, by the strategy's name."""
    found = {
        one.strategy.name: change.p_value
        for one in measured
        for change in one.changes
        if (change.metric, change.dataset) == (metric, dataset)
    }
    tested = {name: p for name, p in found.items() if p is not None}
    return dict(zip(tested, holm(list(tested.values())), strict=True))


def _change(change: Change | None, p_value: float | None) -> tuple[str, str, str]:
    if change is None:
        return "-", "-", "-"
    if change.paired is None:
        return "undefined", "-", "-"
    if p_value is None:
        return "none", "-", "-"
    return f"{change.paired.delta:+.3f}", _interval((change.paired.lower, change.paired.upper), "+"), f"{p_value:.2g}"


def _undefined(one: StrategyResult) -> list[str]:
    """Return a line on each reason why SRCC is undefined on some datasets."""
    reasons: dict[str, list[str]] = {}
    for m in one.metrics:
        if m.name == SRCC and m.dataset is not None and m.value is None:
            reasons.setdefault(str(m.note), []).append(m.dataset)
    return [f"  {one.strategy.name}: undefined on {', '.join(data)}: {reason}" for reason, data in reasons.items()]


def _missing(one: StrategyResult) -> list[str]:
    """Return a line on the words that a strategy needs and the records lack; for some of the datasets a line each."""
    texts = {
        data: ", ".join(_word(word, count) for word, count in words.items()) for data, words in one.missing.items()
    }
    if len(set(texts.values())) == 1 and not one.metrics:
        return [f"  {one.strategy.name}: not recorded: {next(iter(texts.values()))}"]
    return [f"  {one.strategy.name} on {data}: not recorded: {text}" for data, text in texts.items()]


def _word(word: str, count: int) -> str:
    return f"{word} ({count} items only)" if count else word


def _label(one: StrategyResult, measured: Sequence[StrategyResult]) -> str:
    return one.strategy.name + (" (chosen)" if one is measured[0] else "")


def _answer_rules(run: FinishedRun) -> list[str]:
    """A table of the rules by which likelihoods choose an option; empty for a run by text or by perplexity."""
    if run.summary.fingerprint.answer != "likelihood":
        return []
    found = compare_answers(run.records.values())
    rows = [
        (one.rule, one.dataset, f"{one.correct / one.items:.4f}", str(one.items), str(one.changed)) for one in found
    ]
    return aligned([("answer by", "data", "accuracy", "items", "other choices"), *rows], left=2) if rows else []


def _pair(values: Mapping[Place, float | None], dataset: str | None) -> str:
    if (SRCC, dataset) not in values:
        return "-"
    return " / ".join(_number(values[name, dataset]) for name in (SRCC, PLCC))


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"


def _interval(bounds: tuple[float, float] | None, sign: str) -> str:
    return "-" if bounds is None else f"[{bounds[0]:{sign}.3f}, {bounds[1]:{sign}.3f}]"
