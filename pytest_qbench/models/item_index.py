"""Find the item that a recorded output is about, by its id, its image or its question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Literal

from pytest_qbench.errors import ModelError
from pytest_qbench.items import Item
from pytest_qbench.models.output_formats.base import Output, OutputFile
from pytest_qbench.models.output_places import place

Rule = Literal["id", "image", "question"]


class ItemIndex:
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
