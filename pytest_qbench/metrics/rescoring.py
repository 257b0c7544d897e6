"""Recompute quality scores from recorded log-probabilities by other strategies, without a model. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_qbench.metrics.compute import compute_metrics
from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.paired_scores import paired_scores
from pytest_qbench.metrics.specs import CORRELATIONS, kind_of
from pytest_qbench.records import Record
from pytest_qbench.scoring.score import Scoring, choose_by_likelihood
from pytest_qbench.scoring.strategies import Strategy, chosen_strategy, packaged_strategies
from pytest_qbench.stats.paired import Paired, mean_of_comparisons
from pytest_qbench.stats.resampling import Undefined

TAIL = 0.025  # a two-sided interval of 95 %


@dataclass(frozen=True, slots=True)
class Change:
    """The change of a correlation on one dataset (None: the mean of datasets) from another strategy's.

    `paired` is None if the change is undefined; `problem` says why.
    """

    metric: str
    dataset: str | None
    paired: Paired | None
    problem: str = ""

    @property
    def is_same(self) -> bool:
        """Whether the scores have the same ranks (SRCC) or are a linear map of the others (PLCC)."""
        return self.paired is not None and _is_same(self.paired)

    @property
    def p_value(self) -> float | None:
        """The two-sided p-value of no change; None where nothing changes."""
        if self.paired is None or self.is_same:
            return None
        return self.paired.two_sided_p


@dataclass(frozen=True, slots=True)
class StrategyResult:
    """The metrics under one strategy, one per metric and dataset, and their changes from the run's own scoring.

    `missing` has, for each dataset without a metric, the words that its records lack, with the number of records that
    have them.
    """

    strategy: Strategy
    metrics: tuple[Metric, ...]
    changes: tuple[Change, ...] = ()
    missing: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TwoStrategies:
    """The correlations of one run under two strategies, by metric and dataset, and the `changes` from `old` to `new`.

    `missing` says, by strategy and dataset, which words were recorded for how many items only.
    """

    old: Mapping[tuple[str, str | None], float | None]
    new: Mapping[tuple[str, str | None], float | None]
    changes: Sequence[Change]
    missing: Mapping[str, Mapping[str, Mapping[str, int]]]


class RecordedWords:
    """The assessment records of a run that hold log-probabilities, by dataset."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.by_dataset: dict[str, list[Record]] = {}
        for record in records:
            if record.task == "assessment" and record.status != "error" and record.logprobs:
                self.by_dataset.setdefault(record.dataset, []).append(record)

    def missing(self, strategy: Strategy) -> dict[str, dict[str, int]]:
        """Return, by dataset, the words of a strategy that not all records have, and the number of those that do."""
        found = {}
        for dataset, group in self.by_dataset.items():
            counts = {word: sum(word in (record.logprobs or ()) for record in group) for word in strategy.words}
            if lacking := {word: count for word, count in counts.items() if count < len(group)}:
                found[dataset] = lacking
        return found

    def scored(self, strategy: Strategy) -> dict[str, list[Record]]:
        """Return the records with the scores of a strategy, by dataset, of the datasets that have its words."""
        lacking = self.missing(strategy)
        return {
            dataset: [replace(record, score=strategy.score(record.logprobs or {})) for record in group]
            for dataset, group in self.by_dataset.items()
            if dataset not in lacking
        }


def compare_strategies(
    records: Iterable[Record], chosen: Scoring, strategies: Sequence[Strategy] | None = None, seed: int = 0
) -> list[StrategyResult]:
    """Return the metrics of the assessment records under every strategy, that of the run's own scoring first.

    Each of the others is compared with it in pairs. A strategy leaves out the datasets whose records lack one of its
    words. `strategies` None are the packaged ones.
    """
    recorded, own = RecordedWords(records), chosen_strategy(chosen)
    reference = recorded.scored(own)
    listed = {one.name: one for one in (own, *(packaged_strategies() if strategies is None else strategies))}
    compared = []
    for strategy in listed.values():
        scored = recorded.scored(strategy)
        rows = compute_metrics([record for group in scored.values() for record in group], chosen.averages_halves)
        is_other = strategy.name != own.name
        changes = _changes(scored, reference, chosen.averages_halves, seed) if is_other else []
        metrics = tuple(row for row in rows if row.slice is None)
        compared.append(StrategyResult(strategy, metrics, tuple(changes), recorded.missing(strategy)))
    return compared


def compare_two(
    records: Iterable[Record], new: Strategy, old: Strategy, averages_halves: bool, seed: int
) -> TwoStrategies:
    """Compare strategy `new` with strategy `old` in pairs, on the datasets that have the words of both."""
    recorded = RecordedWords(records)
    missing = {one.name: recorded.missing(one) for one in (old, new)}
    sides = [recorded.scored(one) for one in (old, new)]
    shared = [dataset for dataset in recorded.by_dataset if all(dataset in side for side in sides)]
    values = [
        {(m.name, m.dataset): m.value for m in compute_metrics(
            [record for dataset in shared for record in side[dataset]], averages_halves) if m.slice is None}
        for side in sides
    ]  # fmt: skip
    return TwoStrategies(values[0], values[1], _changes(sides[1], sides[0], averages_halves, seed), missing)


def _changes(
    new: Mapping[str, Sequence[Record]], old: Mapping[str, Sequence[Record]], averages_halves: bool, seed: int
) -> list[Change]:
    """Return the change of each correlation on each dataset that both have, and of the mean over datasets."""
    changes = []
    for name in CORRELATIONS:
        own = [_change(name, data, list(zip(new[data], old[data], strict=True)), averages_halves, seed)
               for data in new if data in old]  # fmt: skip
        changes += own
        parts = [change.paired for change in own if change.paired is not None]
        if len(parts) < len(own):
            lacking = ", ".join(str(change.dataset) for change in own if change.paired is None)
            changes.append(Change(name, None, None, f"undefined in {lacking}"))
        elif own:
            changes.append(Change(name, None, _mean(parts)))
    return changes


def _change(
    name: str, dataset: str, pairs: Sequence[tuple[Record, Record]], averages_halves: bool, seed: int
) -> Change:
    halves = dict.fromkeys(record.slices.get("half") for record, _ in pairs) if averages_halves else {}
    parts = [[pair for pair in pairs if pair[0].slices.get("half") == half] for half in halves]
    try:
        found = [paired_scores(part, kind_of(name), TAIL, seed) for part in (parts if len(parts) > 1 else [pairs])]
    except Undefined as e:
        return Change(name, dataset, None, str(e).removeprefix("candidate: ").removeprefix("baseline: "))
    return Change(name, dataset, _mean(found))


def _mean(parts: Sequence[Paired]) -> Paired:
    return parts[0] if len(parts) == 1 or all(map(_is_same, parts)) else mean_of_comparisons(parts, TAIL)


def _is_same(paired: Paired) -> bool:
    return paired.delta == 0 and paired.p_value == paired.p_gain == 1


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """Accuracy on one dataset when the option is chosen by another rule; `changed` counts other choices."""

    rule: str
    dataset: str
    items: int
    correct: int
    changed: int


def compare_answers(records: Iterable[Record]) -> list[AnswerRule]:
    """Choose anew by the sum of an option's log-probabilities and by their mean per token, where both were recorded."""
    by_dataset: dict[str, list[Record]] = {}
    for record in records:
        if record.task == "perception" and record.status in ("correct", "wrong", "unparsed") and record.tokens:
            by_dataset.setdefault(record.dataset, []).append(record)
    found = []
    for dataset, group in by_dataset.items():
        for rule, per_token in (("sum over tokens", False), ("mean per token", True)):
            choices = [_choice(record, per_token) for record in group]
            pairs = list(zip(choices, group, strict=True))
            correct = sum(choice == record.target for choice, record in pairs)
            changed = sum(choice != record.choice for choice, record in pairs)
            found.append(AnswerRule(rule, dataset, len(group), correct, changed))
    return found


def _choice(record: Record, per_token: bool) -> str | None:
    tokens = record.tokens or {}
    values = {o: value / (tokens[o] if per_token else 1) for o, value in (record.logprobs or {}).items()}
    return choose_by_likelihood(values)
