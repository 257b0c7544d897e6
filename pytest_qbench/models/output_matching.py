"""Which recorded output belongs to which item.

An output is matched by the item's id; else by its image, together with the question and the options where the output
has them; else by question and options where only one item has them. Folders before an image's name do not count, unless
several items have images of that name. An output that fits several items is refused, and so are two different outputs
for one item: a wrong answer to an item would be a wrong measurement that nobody sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Literal

from pytest_qbench.errors import ModelError
from pytest_qbench.items import Item, LeftOut
from pytest_qbench.models.output_formats.base import Output, OutputFile
from pytest_qbench.models.output_names import is_published, named_among
from pytest_qbench.models.output_places import line_of
from pytest_qbench.records import Key

Rule = Literal["id", "image", "question"]
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
    indexes: dict[tuple[str | None, str | None], _Index] = {}
    for file in files:
        name = names[file.name]
        if name is None and not _is_run(file) and _is_of_another_dataset(file):
            matches.left_out.append(LeftOut("", file.name, f"not used: {file.dataset} is not measured in this run"))
            continue
        key = (name, file.split)
        if key not in indexes:
            indexes[key] = _Index(_scope(items, name, file.split), name is not None, () if name else claimed)
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


def _match_file(file: OutputFile, index: _Index, matches: Matches, duplicates: Duplicates | None) -> None:
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


def place(file: OutputFile, output: Output) -> str:
    """Return file, entry and line of an output, for an error."""
    line = line_of(file.path, output.number)
    entry = f"{file.name}: entry {output.number}"
    return entry if line is None else f"{entry} (line {line})"


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


class _Index:
    """The items that the entries of a file may be about, by what names them.

    `named` tells whether the file's name tells their dataset. `claimed` are datasets with a file of their own: an
    output of another file is theirs only by the full id or by its question, for an image's name or a bare number says
    too little.
    """

    def __init__(self, items: Sequence[Item], named: bool, claimed: Iterable[str]) -> None:
        self._items = items
        self._named = named
        self._claimed = frozenset(claimed)
        self._full = {item.id: item for item in items}
        self._own: dict[str, list[Item]] = {}
        for item in items:
            self._own.setdefault(own_id(item), []).append(item)
        # Most files hold scores and name images as the data does: those outputs need no search.
        self._usual = {
            name: one[0] for name, one in self._own.items()
            if named and len(one) == 1 and one[0].task == "assessment"
        }  # fmt: skip

    @cached_property
    def _by_image(self) -> dict[str, list[Item]]:
        found: dict[str, list[Item]] = {}
        for item in self._items:
            found.setdefault("\0".join(map(_base, _image_names(item))), []).append(item)
        return found

    @cached_property
    def _by_question(self) -> dict[tuple[str, tuple[str, ...]], list[Item]]:
        found: dict[tuple[str, tuple[str, ...]], list[Item]] = {}
        for item in self._items:
            if item.question is not None:
                found.setdefault(_asked(item.question, item.options), []).append(item)
        return found

    def find(self, output: Output, file: OutputFile) -> tuple[Item | None, Rule, Item | None]:
        """Return the item of an output, the rule that found it, and an item named by it with another question.

        Raises `ModelError` for an output that fits several items.
        """
        if output.task is not None:
            item = self._full.get(output.ids[0])
            return (item if item is not None and item.task == output.task else None), "id", None
        if not output.ids and len(output.images) == 1 and (usual := self._usual.get(output.images[0])) is not None:
            return usual, "image", None
        other: Item | None = None
        rule: Rule
        steps: tuple[tuple[Rule, Callable[[Output], list[Item]]], ...] = (
            ("id", self._with_id), ("image", self._with_image), ("question", self._with_question),
        )  # fmt: skip
        for rule, candidates in steps:
            named = candidates(output)
            if not named:
                continue
            fitting = [item for item in named if self._fits(item, output)]
            if len(fitting) > 1 and output.question is not None:  # an image may also be one to describe
                fitting = [item for item in fitting if item.question is not None] or fitting
            if len(fitting) == 1:
                return fitting[0], rule, None
            if len(fitting) > 1:
                raise ModelError(_ambiguous(output, file, fitting))
            if len(named) == 1 and other is None and named[0].task == "perception":
                other = named[0]
        return None, "id", other

    def _with_id(self, output: Output) -> list[Item]:
        for ident in output.ids:
            if (item := self._full.get(ident)) is not None:
                return [item]
            if found := self._open(self._own.get(ident, ()), output):
                return found
        return []

    def _with_image(self, output: Output) -> list[Item]:
        if not output.images:
            return []
        if len(output.images) == 1:
            name = output.images[0]
            if (full := self._full.get(name)) is not None and full.task == "assessment":
                return [full]
            own = self._own.get(name, ())
            # Several questions about an image share its name; a score is of the whole image.
            if len(own) == 1 and own[0].task == "assessment":
                return self._open(own, output)
        images = pair(output.images[0]) if len(output.images) == 1 else output.images
        found: Sequence[Item] = self._by_image.get("\0".join(map(_base, images)), ())
        if len(found) > 1:
            depths = [_common_depth(item, images) for item in found]
            found = [item for item, depth in zip(found, depths, strict=True) if depth == max(depths)]
        return self._open(found, output)

    def _with_question(self, output: Output) -> list[Item]:
        if output.question is None or not output.options:
            return []
        return self._by_question.get(_asked(output.question, output.options), [])

    def _open(self, found: Sequence[Item], output: Output) -> list[Item]:
        """Return the candidates that an output of this file may be about by id or image."""
        if not self._claimed:
            return list(found)
        return [item for item in found if item.dataset not in self._claimed or (output.question and item.question)]

    def _fits(self, item: Item, output: Output) -> bool:
        """Whether an output can be of an item: the answer is one to its task, the question is the same."""
        if not self._named and output.error is None and not _answers(item, output):
            return False
        if output.question is None or item.question is None:
            return self._named or item.task != "description" or output.question is None
        question, options = _asked(output.question, output.options)
        wanted, choices = _asked(item.question, item.options)
        return wanted in question and (not options or options == choices)


def _answers(item: Item, output: Output) -> bool:
    """Whether what an output holds is an answer to an item's task."""
    if item.task == "assessment":
        return output.logprobs is not None or output.score is not None
    return output.text is not None or (item.task == "perception" and bool(output.likelihoods))


def own_id(item: Item) -> str:
    """Return an item's id without its dataset and split."""
    return item.id.removeprefix(_prefix(item.dataset, item.split))


@lru_cache(maxsize=64)
def _prefix(dataset: str, split: str | None) -> str:
    return f"{dataset}/{split}/" if split else f"{dataset}/"


def _image_names(item: Item) -> Sequence[str]:
    """Return the names of an item's images; without any, its id, the image's name with #2 for a second question."""
    own = own_id(item)
    return [image.name for image in item.images] or pair(own.rpartition("#")[0] or own)


def pair(name: str) -> tuple[str, ...]:
    """Return the two images of Q-Bench2's `folder\\first.jpg_cat_second.jpg.jpg`; any other name as it is."""
    base = _base(name)
    first, cat, second = base.partition("_cat_")
    if not (cat and first and second):
        return (name,)
    stem = second.rpartition(".")[0]
    return first, (stem if "." in stem else second)


def _base(name: str) -> str:
    """Return a name without the folders before it, whichever way they are written."""
    return name.replace("\\", "/").rpartition("/")[2]


def _common_depth(item: Item, images: Sequence[str]) -> int:
    """Return how many parts the paths of an item's image and an output's image share at their ends."""
    depth = 0
    ours, theirs = (path.replace("\\", "/").split("/") for path in (_image_names(item)[0], images[0]))
    for one, other in zip(reversed(ours), reversed(theirs), strict=False):
        if one != other:
            break
        depth += 1
    return depth


def _asked(question: str, options: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return question and options without the blanks that formats add or drop."""
    return " ".join(question.split()), tuple(" ".join(option.split()) for option in options)


def _ambiguous(output: Output, file: OutputFile, items: Sequence[Item]) -> str:
    return (
        f"{place(file, output)} would answer {len(items)} items, {items[0].id} and {items[1].id}; add the id, or image "
        "and question, to each entry, or name the file after its dataset"
    )
