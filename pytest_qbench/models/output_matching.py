"""Which recorded output belongs to which item.

An output is matched by the item's id; else by its image, together with the question and the options where the output
has them; else by question and options where only one item has them. Folders before an image's name do not count, unless
several items have images of that name. An output that fits several items is refused, and so are two different outputs
for one item: a wrong answer to an item would be a wrong measurement that nobody sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pytest_qbench.errors import ModelError
from pytest_qbench.items import Item, LeftOut
from pytest_qbench.models.item_index import ItemIndex, Rule
from pytest_qbench.models.output_formats.base import Output, OutputFile
from pytest_qbench.models.output_names import is_published, named_among
from pytest_qbench.models.output_places import place
from pytest_qbench.records import Key

Duplicates = Literal["first", "last"]


@dataclass(slots=True)
class Found:
    """The output of an item, the file that holds it and the rule by which it was matched."""

    output: Output
    file: OutputFile
    rule: Rule


@dataclass(slots=True)
class Matches:
    """The outputs by task and id of their items.

    `other_question` holds the outputs that name an item by id or image but ask something else. `left_out` says which
    outputs belong to no item of the run, and which repeat another one.
    """

    found: dict[Key, Found] = field(default_factory=dict)
    other_question: dict[Key, Found] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def by_rule(self) -> dict[str, int]:
        """Return how many items were matched by each rule."""
        counts: dict[str, int] = {}
        for one in self.found.values():
            counts[one.rule] = counts.get(one.rule, 0) + 1
        return counts


def match(files: Sequence[OutputFile], items: Sequence[Item], duplicates: Duplicates | None = None) -> Matches:
    """Return the outputs of `items`; raises `ModelError`, with file and line, where one of them is not certain.

    `duplicates` says which of several different outputs for one item counts; None refuses them.
    """
    datasets = dict.fromkeys(item.dataset for item in items)
    names = {file.name: _named(file, list(datasets)) for file in files}
    claimed = {name for name in names.values() if name is not None}
    matches = Matches()
    indexes: dict[tuple[str | None, str | None], ItemIndex] = {}
    for file in files:
        name = names[file.name]
        if name is None and not _is_run(file) and _is_of_another_dataset(file):
            matches.left_out.append(LeftOut("", file.name, f"not used: {file.dataset} is not measured in this run"))
            continue
        key = (name, file.split)
        if key not in indexes:
            indexes[key] = ItemIndex(_scope(items, name, file.split), name is not None, () if name else claimed)
        _match_file(file, indexes[key], matches, duplicates)
    return matches


def _named(file: OutputFile, datasets: Sequence[str]) -> str | None:
    if file.dataset in datasets:
        return file.dataset
    return None if _is_of_another_dataset(file) else named_among(file.name, datasets)


def _is_run(file: OutputFile) -> bool:
    return bool(file.outputs) and file.outputs[0].task is not None


def _is_of_another_dataset(file: OutputFile) -> bool:
    """Whether a file names a published dataset, which then is none of the run."""
    return file.dataset is not None and (is_published(file.dataset) or is_published(file.name))


def _scope(items: Sequence[Item], dataset: str | None, split: str | None) -> list[Item]:
    """Return the items that a file may be about."""
    return [
        item for item in items
        if dataset in (None, item.dataset) and (split is None or item.split is None or split == item.split)
    ]  # fmt: skip


def _match_file(file: OutputFile, index: ItemIndex, matches: Matches, duplicates: Duplicates | None) -> None:
    unmatched: list[Output] = []
    repeated: dict[str, list[Output]] = {}
    overruled: dict[str, list[Output]] = {}
    for output in file.outputs:
        item, rule, other = index.find(output, file)
        if other is not None:
            matches.other_question.setdefault((other.task, other.id), Found(output, file, rule))
        if item is None:
            unmatched.append(output)
            continue
        key = (item.task, item.id)
        earlier = matches.found.get(key)
        if earlier is None:
            matches.found[key] = Found(output, file, rule)
        elif earlier.output.content == output.content:
            repeated.setdefault(item.dataset, []).append(output)
        elif duplicates is None:
            raise ModelError(_contradiction(item, earlier, Found(output, file, rule)))
        else:
            overruled.setdefault(item.dataset, []).append(output)
            if duplicates == "last":
                matches.found[key] = Found(output, file, rule)
    matches.left_out += _not_used(file, unmatched)
    for dataset, outputs in repeated.items():
        matches.left_out.append(LeftOut(dataset, file.name, f"{_repeats(outputs)}; each item counts once"))
    for dataset, outputs in overruled.items():
        reason = f"{_repeats(outputs)} with another answer; the {duplicates} counts, as asked"
        matches.left_out.append(LeftOut(dataset, file.name, reason))


def _not_used(file: OutputFile, unmatched: Sequence[Output]) -> list[LeftOut]:
    """Say how many entries of a file are of no item."""
    if not unmatched:
        return []
    entries, first = len(file.outputs), unmatched[0].number
    if len(unmatched) == entries:
        what = f"not used: none of its {_entries(entries)} is of an item of this run"
    else:
        what = f"{len(unmatched)} of its {_entries(entries)} are of no item of this run (first: entry {first})"
    return [LeftOut("", file.name, what)]


def _repeats(outputs: Sequence[Output]) -> str:
    verb = "repeats" if len(outputs) == 1 else "repeat"
    return f"{_entries(len(outputs))} {verb} the item of an earlier one (first: entry {outputs[0].number})"


def _entries(count: int) -> str:
    return f"{count} entry" if count == 1 else f"{count} entries"


def _contradiction(item: Item, earlier: Found, later: Found) -> str:
    first, second = place(earlier.file, earlier.output), place(later.file, later.output)
    values = f"{_answer(earlier.output)} there, {_answer(later.output)} here"
    if earlier.file is later.file:
        remedy = "keep one, or choose with --qbench-model-arg=duplicates=first or =last"
    else:
        remedy = f"choose a file with --qbench-model-arg=files={later.file.name}, or an entry with duplicates=last"
    return f"{second} contradicts {first}: two outputs for {item.id} ({values}); {remedy}"


def _answer(output: Output) -> str:
    held = (output.error, output.text, output.score, output.logprobs)
    value = next((one for one in held if one is not None), output.likelihoods)
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
