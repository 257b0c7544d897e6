"""Recompute quality scores from recorded log-probabilities by other strategies, without a model. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from pytest_qbench.metrics.metrics import Metric, compute_metrics
from pytest_qbench.records import Record
from pytest_qbench.scoring.quality import (
    FIVE_LEVELS,
    GOOD_WORDS,
    POOR_WORDS,
    THREE_LEVELS,
    argmax_score,
    even_levels,
    level_score,
    quality_score,
    word_set_score,
)
from pytest_qbench.scoring.score import PAPER_TEMPERATURE, Scoring, choose_by_likelihood


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to compute a quality score: `score` takes the log-probabilities of `words`."""

    name: str
    words: tuple[str, ...]
    score: Callable[[Mapping[str, float]], float]


def softmax(good: str, poor: str, temperature: float) -> Strategy:
    """Return the strategy `quality_score`, a softmax over two words."""
    return Strategy(
        f"softmax {good}/{poor}, T = {temperature:g}",
        (good, poor),
        lambda logits: quality_score(logits[good], logits[poor], temperature),
    )


def argmax(good: str, poor: str) -> Strategy:
    """Return the strategy `argmax_score`: 1 if the good word is likelier, else 0."""
    return Strategy(f"argmax {good}/{poor}", (good, poor), lambda logits: argmax_score(logits, good, poor))


def levels(words: Sequence[str], temperature: float) -> Strategy:
    """The expected worth of a scale of words."""
    worth = even_levels(words)
    return Strategy(
        f"levels {'/'.join(words)}, T = {temperature:g}",
        tuple(words),
        lambda logits: level_score(logits, worth, temperature),
    )


def strategies(chosen: Scoring) -> list[Strategy]:
    """Return all strategies, the one of the run's own scoring first."""
    own = [(chosen.words[0], chosen.words[1])] if len(chosen.words) == 2 else []
    pairs = list(dict.fromkeys([*own, ("good", "poor"), ("high", "low")]))
    temperatures = (1.0, PAPER_TEMPERATURE)
    listed = [softmax(*own[0], chosen.temperature) if own else levels(chosen.words, chosen.temperature)]
    for pair in pairs:
        listed += [softmax(*pair, t) for t in temperatures] + [argmax(*pair)]
    word_sets = "/".join("+".join(words) for words in (GOOD_WORDS, POOR_WORDS))
    listed += [
        Strategy(f"softmax {word_sets}", (*GOOD_WORDS, *POOR_WORDS), word_set_score),
        Strategy("three levels", tuple(THREE_LEVELS), lambda logits: level_score(logits, THREE_LEVELS)),
        Strategy("five levels", tuple(FIVE_LEVELS), lambda logits: level_score(logits, FIVE_LEVELS)),
    ]
    return list({one.name: one for one in listed}.values())


@dataclass(frozen=True, slots=True)
class StrategyResult:
    """The metrics under one strategy, one per metric and dataset; or `missing`, the words that were not recorded."""

    strategy: Strategy
    metrics: tuple[Metric, ...]
    missing: tuple[str, ...] = ()


def compare_strategies(records: Iterable[Record], chosen: Scoring) -> list[StrategyResult]:
    """Return the metrics of the assessment records under every strategy.

    A strategy leaves out the databases whose records lack one of its words. `chosen` is the run's own scoring.
    """
    by_dataset: dict[str, list[Record]] = {}
    for record in records:
        if record.task == "assessment" and record.status != "error" and record.logprobs:
            by_dataset.setdefault(record.dataset, []).append(record)
    recorded = {name: _common_words(group) for name, group in by_dataset.items()}
    compared = []
    for strategy in strategies(chosen):
        usable = [name for name, words in recorded.items() if words.issuperset(strategy.words)]
        if not usable:
            known = set().union(*recorded.values())
            compared.append(StrategyResult(strategy, (), tuple(w for w in strategy.words if w not in known)))
            continue
        scored = [
            replace(record, score=strategy.score(record.logprobs or {}))
            for name in usable
            for record in by_dataset[name]
        ]
        rows = compute_metrics(scored, chosen.averages_halves)
        compared.append(StrategyResult(strategy, tuple(row for row in rows if row.slice is None)))
    return compared


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


def _common_words(records: Sequence[Record]) -> set[str]:
    return set.intersection(*(set(record.logprobs or ()) for record in records))
