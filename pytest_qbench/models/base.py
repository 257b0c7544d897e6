"""What a model must be able to do; backends are files beside this one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, overload, runtime_checkable

from pytest_qbench.records import Response

if TYPE_CHECKING:
    from pytest_qbench.errors import ItemError
    from pytest_qbench.items import Item
    from pytest_qbench.models.images import Picture
    from pytest_qbench.prompts import AnswerMode, Prompt


class Prompts(Sequence["Prompt"]):
    """Prompts with what a model keeps for them. A part of them is a tuple of prompts, for which nothing is kept."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._prompts = tuple(prompts)

    def __len__(self) -> int:
        return len(self._prompts)

    @overload
    def __getitem__(self, index: int) -> Prompt: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Prompt]: ...
    def __getitem__(self, index: int | slice) -> Prompt | Sequence[Prompt]:
        return self._prompts[index]


class AskedAboutItems:
    """A model that answers items, not prompts: what asks it a prompt itself is refused."""

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str]:
        """Refuse: it is asked about items."""
        self._refuse()

    def option_likelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Refuse: it is asked about items."""
        self._refuse()

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> list[list[float]]:
        """Refuse: it is asked about items."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        """Raise the `ModelError` that says what to do instead."""
        raise NotImplementedError


class Model(Protocol):
    """A vision-language model over batches of prompts. Results are in the order of the prompts.

    Each method raises `ModelError` when the model cannot do it at all and `ItemError` when a single prompt is at fault;
    a model that asks prompts one by one returns the `ItemError` in the place of that prompt's result instead, and the
    others are not asked again.
    """

    name: str
    needs_images: bool

    def describe(self) -> dict[str, Any]:
        """Return what identifies the model and how it ran: plain values for the fingerprint and the summary."""
        ...

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> Sequence[str | ItemError]:
        """Return the reply of each prompt, greedily decoded, without the prompt and without special tokens."""
        ...

    def option_likelihoods(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]
    ) -> Sequence[list[float] | ItemError]:
        """Return for each prompt the summed log-likelihood of each option's tokens as the assistant's reply."""
        ...

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> Sequence[list[float] | ItemError]:
        """Return for each prompt the log-probability of each word right after `Prompt.prefix`.

        Log-softmax over the vocabulary, computed in float32; a word of several tokens counts by its whole sequence.
        """
        ...

    def close(self) -> None:
        """Release weights and connections."""
        ...


@runtime_checkable
class Recalls(Protocol):
    """A model that knows items by what was recorded of them, instead of answering prompts."""

    def recall(self, items: Sequence[Item]) -> list[Response]:
        """Return what was recorded for each item, every word or option included; raises `ItemError` for a gap."""
        ...


@runtime_checkable
class Probed(Protocol):
    """A model that may lack what is going to be asked, and finds out before the first item.

    `conditions` are what it is asked otherwise than the protocol says; they go into the fingerprint.
    """

    @property
    def conditions(self) -> Mapping[str, Any]:
        """Entries of the fingerprint's ``scoring``."""
        ...

    def probe(self, tasks: Iterable[str], answer: AnswerMode, words: Sequence[str]) -> None:
        """Raise `ModelError` that names what is missing for these tasks."""
        ...


@runtime_checkable
class Prepares(Protocol):
    """A model that can do part of its work ahead, in threads, while another batch is in its forward pass.

    Nothing depends on it: prompts that were not prepared, or that someone changed on the way, are answered the same.
    """

    largest_batch: int
    """Prompts to begin with in one forward pass, where the user names no number; out of memory halves it."""

    def look(self, picture: Picture) -> None:
        """Decode and preprocess one picture; several threads at a time. Raises `ItemError` for a broken one."""
        ...

    def prepare(self, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
        """Return the same prompts with their tensors, to be asked; not in the thread that asks, one at a time."""
        ...


@runtime_checkable
class Sends(Protocol):
    """A model that computes elsewhere: batches are sent ahead of their turn, and their answers waited for."""

    largest_batch: int | None
    """As `Prepares.largest_batch`; None where the model elsewhere names no number."""
    machine: str
    """Kind of the machines that compute, as `platform.machine` names them."""
    report: Mapping[str, Any]
    """How the work is spread, for the summary; plain values, kept up to date."""

    @property
    def ahead(self) -> int:
        """Batches to be sent while another is waited for."""
        ...

    def send(self, items: Sequence[Item], prompts: Sequence[Prompt], shared: bool) -> Sequence[Prompt]:
        """Send a batch, without waiting; return the same prompts, to be handed to `answers`.

        `shared` says that it shows the same images as batches sent just before or after it.
        """
        ...

    def answers(self, items: Sequence[Item], prompts: Sequence[Prompt]) -> Sequence[Response | ItemError]:
        """Return the responses of a batch as soon as they are there; a batch that was not sent is sent now.

        Raises what the model elsewhere raised over the batch, and `WorkerDied` where processes died over it.
        """
        ...


@runtime_checkable
class Varies(Protocol):
    """A model that can compute otherwise: what it then answers differently is noise, not change."""

    def vary(self) -> str | None:
        """Go over to another dtype, for good; return what changed, or None where that is not possible."""
        ...
