"""`replay:PATH`: answers items from recorded outputs. Needs no images and no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from pytest_qbench.errors import ItemError, ModelError, UsageError
from pytest_qbench.items import Item, LeftOut
from pytest_qbench.models.base import ItemModel
from pytest_qbench.models.output_formats import OutputFile
from pytest_qbench.models.output_matching import Duplicates, Found, Matches, match
from pytest_qbench.models.output_places import place
from pytest_qbench.models.recorded_outputs import read_outputs
from pytest_qbench.records import Key, Response


class ReplayModel(ItemModel):
    """Answers items from recorded outputs. An item without an output is an error that names the item.

    `arguments` are the model arguments. `files` and `filter` select the outputs to read. `duplicates` selects one of
    several different outputs for an item.
    """

    needs_images = False

    def __init__(self, path: Path, name: str, arguments: Mapping[str, str] | None = None) -> None:
        self.name = name
        self._path = path
        self._arguments = dict(arguments or {})
        self._outputs = read_outputs(path, self._arguments)
        self._items: dict[Key, Item] = {}
        self._matches = Matches()

    def describe(self) -> dict[str, Any]:
        """Return the backend, the names of the files, a hash of their content, and the model arguments."""
        chosen = {"arguments": self._arguments} if self._arguments else {}
        files = self._outputs.files
        names = [file.name for file in files]
        return {"backend": "replay", "name": self.name, "files": names, "content": _digest(files), **chosen}

    @property
    def conditions(self) -> dict[str, Any]:
        """Prompt conditions of the recorded run, by the keys of a fingerprint; empty if the outputs have none."""
        return self._outputs.conditions

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """Files and entries that are not used, each with the reason."""
        return (*self._outputs.unread, *self._matches.left_out)

    @property
    def matched_by(self) -> dict[str, int]:
        """Number of items whose output was found by each rule: `id`, `image` or `question`."""
        return self._matches.by_rule()

    @property
    def matched_tasks(self) -> set[str]:
        """Tasks with an output for at least one item."""
        return {task for task, _ in self._matches.found}

    @property
    def gives_likelihoods(self) -> bool:
        """Whether the answers to multiple-choice questions are a likelihood per option instead of a reply."""
        answers = [found.output for (task, _), found in self._matches.found.items() if task == "perception"]
        return any(one.text is None and bool(one.likelihoods or one.logprobs) for one in answers)

    def expect(self, items: Iterable[Item]) -> None:
        """Match the outputs with the items of a run. Raises `ModelError` for an ambiguous match."""
        items = list(items)
        if all((item.task, item.id) in self._items for item in items):
            return
        self._items.update(((item.task, item.id), item) for item in items)
        duplicates = cast("Duplicates | None", self._arguments.get("duplicates"))
        self._matches = match(self._outputs.files, list(self._items.values()), duplicates)

    def recall(self, items: Sequence[Item]) -> list[Response]:
        """Return the recorded response of each item. Raises `ItemError` for the first item without one."""
        self.expect(items)
        return [self._response(item) for item in items]

    def close(self) -> None:
        """Do nothing: there is nothing to release."""

    def _refuse(self) -> NoReturn:
        raise ModelError(f"replay:{self._path}: has recorded outputs only and cannot answer other prompts")

    def _response(self, item: Item) -> Response:
        found = self._matches.found.get((item.task, item.id))
        if found is None:
            raise ItemError(f"{item.id}: {self._why_missing(item)}")
        output = found.output
        if output.error is not None:
            raise ItemError(f"{item.id}: {output.error}")
        if item.task == "assessment":
            if output.logprobs is None and output.score is None:
                raise ItemError(f"{item.id}: {place(found.file, output)}: no logit_WORD and no score")
        elif output.text is None and not (item.task == "perception" and (output.logprobs or output.likelihoods)):
            raise ItemError(f"{item.id}: {place(found.file, output)}: no response")
        logprobs = _by_option(item, found) if output.likelihoods else output.logprobs
        return Response(output.text, logprobs, output.finish, output.score)

    def _why_missing(self, item: Item) -> str:
        other = self._matches.other_question.get((item.task, item.id))
        if other is None:
            return f"no recorded output in {self._path}"
        question = other.output.question
        return f"{place(other.file, other.output)}: answers another question ({question!r})"


def check_option_order(model: ReplayModel, asked: str | None) -> None:
    """Raise `UsageError` if outputs answer options in another order, for their letters mean other options there.

    `asked` is the order of the items in the words of a fingerprint, None for that of the data.
    """
    recorded = model.conditions.get("option_order")
    if recorded != asked:
        remedy = "drop --qbench-shuffle-options"
        if recorded is not None:
            remedy = "give that --qbench-seed" if asked else "add --qbench-shuffle-options with that seed"
        was, now = (order or "in the order of the data" for order in (recorded, asked))
        raise UsageError(f"{model.name} was recorded with options {was}, not {now}: {remedy}")


def _digest(files: Sequence[OutputFile]) -> str:
    """Return a hash of the bytes of the files: 16 hex digits."""
    found = hashlib.sha256()
    for file in files:
        found.update(file.path.read_bytes())
    return found.hexdigest()[:16]


def _by_option(item: Item, found: Found) -> dict[str, float]:
    """Return the likelihoods by option. Raises `ItemError` if their number differs from the number of options."""
    likelihoods = found.output.likelihoods
    if len(likelihoods) != len(item.options):
        raise ItemError(
            f"{item.id}: {place(found.file, found.output)}: {len(likelihoods)} likelihoods for "
            f"{len(item.options)} options"
        )
    return dict(zip(item.options, likelihoods, strict=True))
