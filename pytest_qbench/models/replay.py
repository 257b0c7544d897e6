"""`replay:PATH`: a model that ran elsewhere, from what it put out. Needs no images and no torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.items import Item, LeftOut
from pytest_qbench.models.base import ItemModel
from pytest_qbench.models.recorded_outputs import Output, read_outputs
from pytest_qbench.records import Response


class ReplayModel(ItemModel):
    """Answers items from recorded outputs; an item without one is an error by name."""

    needs_images = False

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._path = path
        self._outputs = read_outputs(path)
        # Where a file's name tells no published dataset, only a reply can be matched, by its image alone.
        self._named = {dataset for dataset, _, _ in self._outputs.by_key}

    def describe(self) -> dict[str, Any]:
        """Return the backend and the files that were read."""
        return {"backend": "replay", "name": self.name, "files": self._outputs.files}

    @property
    def conditions(self) -> dict[str, Any]:
        """How an earlier run asked, by the keys of a fingerprint; empty for outputs that do not say."""
        return self._outputs.conditions

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Entries that were not used, such as repeated ones."""
        return tuple(self._outputs.left_out)

    def recall(self, items: Sequence[Item]) -> list[Response]:
        """Return the recorded response of each item; raises `ItemError` for the first without one."""
        return [self._response(item) for item in items]

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _refuse(self) -> NoReturn:
        raise ModelError(f"replay:{self._path}: recalls recorded items only; nothing new can be asked of it")

    def _response(self, item: Item) -> Response:
        output = self._outputs.by_item.get((item.task, item.id)) or self._find(item)
        if output is None:
            raise ItemError(f"{item.id}: no recorded output in {self._path}")
        if output.error is not None:
            raise ItemError(f"{item.id}: {output.error}")
        if item.task == "assessment" and output.logprobs is None:
            raise ItemError(f"{item.id}: {output.place}: no logit_WORD to score")
        if item.task != "assessment" and output.text is None and not (item.task == "perception" and output.logprobs):
            raise ItemError(f"{item.id}: {output.place}: no response")
        return Response(output.text, output.logprobs)

    def _find(self, item: Item) -> Output | None:
        for key in self._keys(item):
            if found := self._outputs.by_key.get(key):
                return _about(item, found)
        return None

    def _keys(self, item: Item) -> Iterator[tuple[str | None, str | None, str]]:
        """Yield under which keys an output of `item` may be found, most certain first."""
        prefix = f"{item.dataset}/{item.split}/" if item.split else f"{item.dataset}/"
        own = item.id.removeprefix(prefix)
        names = dict.fromkeys([own, own.rpartition("#")[0] or own])
        names.update(dict.fromkeys(image.name.rpartition("/")[2] for image in item.images))
        datasets = [item.dataset]
        if item.task == "perception":  # an answer file of any name, where there is but one
            datasets += [d for d in self._named if d and d != item.dataset and len(self._named) == 1]
        for dataset in datasets:
            for split in dict.fromkeys((item.split, None)):
                for name in names:
                    yield dataset, split, name


def _about(item: Item, found: Sequence[Output]) -> Output:
    """Return the output about the item's question; an answer to another question is none to this."""
    for output in found:
        if output.question is None or item.question is None or item.question.strip() in output.question:
            return output
    raise ItemError(f"{item.id}: {found[0].place}: answers another question ({found[0].question!r})")
