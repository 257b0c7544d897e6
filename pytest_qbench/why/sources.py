"""Read the two sides that a user names: model specs, baselines and run folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pytest_qbench.baseline.align import align
from pytest_qbench.baseline.baseline import Baseline
from pytest_qbench.baseline.folder_files import FILE
from pytest_qbench.baseline.store import read_baseline
from pytest_qbench.engine.dispatch import PromptSettings
from pytest_qbench.errors import UsageError
from pytest_qbench.items import Dataset, Item
from pytest_qbench.metrics.fingerprint import Fingerprint
from pytest_qbench.models.base import Model
from pytest_qbench.models.load import load_model
from pytest_qbench.models.model_args import check_args, parse_model_args
from pytest_qbench.models.specs import ModelSpec, aliases, check, parse_spec
from pytest_qbench.prompt_sets.read import is_file, packaged_set
from pytest_qbench.prompts import ANSWER_MODES, DEFAULT_PROMPTS, AnswerMode, PromptSet
from pytest_qbench.records import Key, Record
from pytest_qbench.runs.explanation import Explanation
from pytest_qbench.runs.read import read_run
from pytest_qbench.runs.summary import SUMMARY
from pytest_qbench.scoring.score import DEFAULT, Scoring
from pytest_qbench.why.choose import MOST, most_different, pool
from pytest_qbench.why.compare import same_reply
from pytest_qbench.why.explain import compare_traces
from pytest_qbench.why.reference import begins_alike, with_recorded_reference
from pytest_qbench.why.sides import LiveSide, RecordedSide
from pytest_qbench.why.trace import Traces

POOL = 32
"""Items that two models are asked, of which the most different are looked at."""
LIMITS: Mapping[str, int] = {"perception": 32, "description": 48}
"""Tokens of a reply: the first words show where two models part."""


@dataclass(frozen=True)
class Recorded:
    """Records with their items and conditions."""

    name: str
    records: Mapping[Key, Record]
    items: Mapping[Key, Item]
    fingerprint: Fingerprint
    baseline: Baseline | None = None

    def aligned(self, expected: Mapping[Key, Item]) -> Recorded:
        """Return the records under the ids of the data's items."""
        if self.baseline is None:
            return self
        found = align(self.baseline, expected)
        return replace(self, records=found.records, baseline=found)

    def side(self) -> RecordedSide:
        """Return the side of the comparison."""
        known = {} if self.baseline is None else self.baseline.identities
        pictures = {key: one.picture() for key, one in known.items() if one.picture is not None}
        return RecordedSide(self.name, self.records, self.fingerprint, pictures)


@dataclass(frozen=True)
class Named:
    """A side as the user named it: recorded, or the spec of a model with its arguments."""

    text: str
    recorded: Recorded | None = None
    spec: ModelSpec | None = None
    args: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asking:
    """How both sides are asked."""

    answer: AnswerMode
    prompt_set: PromptSet
    scoring: Scoring = DEFAULT

    @property
    def prompts(self) -> PromptSettings:
        """The settings of the prompts."""
        return PromptSettings(self.answer, False, self.scoring.words, LIMITS, self.prompt_set)


def named(text: str, arguments: Sequence[str], option: str) -> Named:
    """Return the side that `text` names. Raises `UsageError` for an unknown or unusable one."""
    folder = Path(text)
    if (folder / FILE).is_file():
        baseline = read_baseline(folder)
        found = Recorded(f"baseline {folder.name}", baseline.records, {}, baseline.fingerprint, baseline)
    elif (folder / SUMMARY).is_file():
        results = read_run(folder)
        records: dict[Key, Record] = {(record.task, record.item): record for record in results.records}
        found = Recorded(f"run {folder.name}", records, results.expected, results.fingerprint)
    else:
        spec, args = parse_spec(text), parse_model_args(arguments)
        check(spec, option="")
        check_args(spec, args)
        return Named(text, spec=spec, args=args)
    if arguments:
        raise UsageError(f"{option}={arguments[0]}: {text} is recorded and takes no model arguments")
    return Named(text, recorded=found)


def asking(sides: Sequence[Named], answer: str | None, prompts: PromptSet | None) -> Asking:
    """Return how both are asked: as the options say, else as the recorded side was, else as the first alias is."""
    made = next((side.recorded.fingerprint for side in sides if side.recorded), None)
    stated = next((side.spec.answer for side in sides if side.spec and side.spec.answer), None)
    mode = answer or (made.answer if made else None) or stated or "generate"
    if mode not in ANSWER_MODES:
        raise UsageError(f"{mode}: an answer mode of another version; name one with --answer")
    return Asking(mode, prompts or _recorded_set(made), (made.scoring if made else None) or DEFAULT)


def _recorded_set(made: Fingerprint | None) -> PromptSet:
    """Return the packaged prompt set of a fingerprint, or the default."""
    entry = None if made is None else made.prompts
    name = entry.get("set") if isinstance(entry, Mapping) else None
    if isinstance(name, str) and is_file(name):
        raise UsageError(f"the prompts of {name} were asked: name the file with --prompts")
    return packaged_set(name if isinstance(name, str) else DEFAULT_PROMPTS)


def live_side(side: Named, asked: Asking, load: Callable[[ModelSpec, Mapping[str, str]], Model]) -> LiveSide:
    """Return the side of a model."""
    assert side.spec is not None
    spec, args = side.spec, side.args
    return LiveSide(side.text, lambda: load(spec, args), asked.prompts, asked.scoring)


def explain_named(
    a: Named, b: Named, asked: Asking, data: Callable[[], Sequence[Dataset]], *,
    most: int = MOST, size: int = POOL, seed: int = 0, data_of_b: Callable[[], Sequence[Dataset]] | None = None,
    load: Callable[[ModelSpec, Mapping[str, str]], Model] = load_model,
) -> Explanation:  # fmt: skip
    """Return why B differs from A. `data` opens the data, which two recorded sides do not need."""
    if a.recorded and b.recorded:
        return explain_recorded(a.recorded, b.recorded, most)
    datasets = data()
    if a.recorded is None and b.recorded is None:
        items = pool(datasets, size, seed)
        others = _same_items(items, data_of_b()) if data_of_b else items
        one = live_side(a, asked, load).trace(items, noise=True)
        return compare_traces(one, live_side(b, asked, load).trace(others, noise=False), most)
    expected: dict[Key, Item] = {(item.task, item.id): item for each in datasets for item in each.items}
    recorded = a.recorded or b.recorded
    assert recorded is not None
    recorded = recorded.aligned(expected)
    known = [replace(d, items=tuple(i for i in d.items if (i.task, i.id) in recorded.records)) for d in datasets]
    items = pool([each for each in known if each.items], size, seed)
    if not items:
        raise UsageError(f"{recorded.name} has none of the items of this data; name its data with --data")
    if b.recorded is not None:  # the model is the reference
        one = live_side(a, asked, load).trace(items, noise=True)
        return compare_traces(one, recorded.side().trace(items, noise=False), most)
    return explain_against_recorded(recorded, live_side(b, asked, load), items, asked, most, load)


def explain_recorded(a: Recorded, b: Recorded, most: int = MOST) -> Explanation:
    """Return why one recorded side differs from another, by replies and conditions alone."""
    if a.baseline is not None and b.items:
        a = a.aligned(b.items)
    keys = [key for key in a.records if key in b.records]
    items = most_different([_item(key, a, b) for key in keys], a.records, b.records, most)
    return compare_traces(a.side().trace(items, noise=False), b.side().trace(items, noise=False), most)


def explain_against_recorded(
    a: Recorded,
    b: LiveSide,
    items: Sequence[Item],
    asked: Asking,
    most: int,
    load: Callable[[ModelSpec, Mapping[str, str]], Model] = load_model,
    measured: Recorded | None = None,
) -> Explanation:
    """Return why a model differs from records; their own model is asked, too, where it is at hand.

    `measured` are the records of the run that is explained. If the model alone gives other answers than these,
    a fixture changed it during the run, and the records decide.
    """
    other = b.trace(items, noise=True)
    if measured is not None and _gives_other_answers(other, measured):
        found = explain_recorded(a, measured, most)
        told = (
            f"{b.name} alone gives other answers than {measured.name} has: a fixture of the project changes it, "
            "so only its records are compared"
        )
        return replace(found, unseen=(told, *found.unseen))
    chosen = most_different(items, a.records, {key: trace.record for key, trace in other.by_item.items()}, most)
    recorded = a.side().trace(chosen, noise=False)
    spec = reference_spec(a.fingerprint)
    if spec is None:
        return compare_traces(recorded, other, most)
    dtype = str((a.fingerprint.model or {}).get("dtype") or "auto")
    reference = LiveSide(spec.name, lambda: load(spec, {"dtype": dtype}), asked.prompts, asked.scoring)
    return with_recorded_reference(recorded, reference.trace(chosen, noise=True), other, most)


def _gives_other_answers(side: Traces, measured: Recorded) -> bool:
    """Return whether more than a quarter of the replies differ from the records; texts may have been cut."""
    pairs = [(trace.record, measured.records[key]) for key, trace in side.by_item.items()]
    changed = sum(not (same_reply(x, y, side.noise) or begins_alike(x.response, y.response)) for x, y in pairs)
    return 4 * changed > len(pairs)


def reference_spec(made: Fingerprint) -> ModelSpec | None:
    """Return the packaged model that records state, None where it is another: its weights may not be at hand."""
    model: Mapping[str, Any] = made.model or {}
    alias = aliases().get(str(model.get("target")))
    return parse_spec(alias.name) if alias is not None and alias.packaged else None


def _item(key: Key, a: Recorded, b: Recorded) -> Item:
    if (known := b.items.get(key) or a.items.get(key)) is not None:
        return known
    record = a.records[key]
    return Item(record.item, record.task, record.dataset, record.split, record.group, (), slices=record.slices)


def _same_items(items: Sequence[Item], datasets: Sequence[Dataset]) -> list[Item]:
    """Return the items of B's data with the ids of A's. Raises `UsageError` where it lacks one."""
    found = {(item.task, item.id): item for each in datasets for item in each.items}
    if lost := [item.id for item in items if (item.task, item.id) not in found]:
        raise UsageError(f"--data-b: has no item {lost[0]}; name a copy of the same data")
    return [found[item.task, item.id] for item in items]
