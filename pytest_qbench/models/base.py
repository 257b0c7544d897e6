"""The protocol of a model, and the optional protocols that a model may support."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeGuard, overload, runtime_checkable

from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.records import Response

if TYPE_CHECKING:
    from pytest_qbench.items import Item
    from pytest_qbench.models.images import LazyImage
    from pytest_qbench.prompts import AnswerMode, Prompt


class Prompts(Sequence["Prompt"]):
    """A sequence of prompts to which a model attaches data. A slice is a plain tuple without that data."""

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


class OptionScores(list[float]):
    """The log-likelihood of each option, with the number of tokens behind each."""

    def __init__(self, scores: Iterable[float], tokens: Iterable[int]) -> None:
        super().__init__(scores)
        self.tokens = tuple(tokens)


class ItemModel:
    """Base of models that answer whole items. Each method that takes prompts raises `ModelError`."""

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str | Response]:
        """Raise `ModelError`: this model answers whole items."""
        self._refuse()

    def option_loglikelihoods(self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]) -> list[list[float]]:
        """Raise `ModelError`: this model answers whole items."""
        self._refuse()

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> list[list[float]]:
        """Raise `ModelError`: this model answers whole items."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        """Raise a `ModelError` with a remedy for the user."""
        raise NotImplementedError


MODEL_MEMBERS = (
    "name",
    "needs_images",
    "describe",
    "generate",
    "option_loglikelihoods",
    "next_token_logprobs",
    "close",
)
"""Names of the attributes and methods of every model (see `Model`)."""
REPLAY_MEMBERS = ("name", "needs_images", "describe", "recall", "close")
"""Names of the attributes and methods of a model that answers items instead of prompts (see `SupportsReplay`)."""


class Model(Protocol):
    """A vision-language model that answers batches of prompts. Results are in the order of the prompts.

    Each method raises `ModelError` if the model does not support it, and `ItemError` if one prompt is the cause. A
    model that sends its prompts one by one may return the `ItemError` as that prompt's result. The engine then does not
    repeat the other prompts.
    """

    name: str
    needs_images: bool

    def describe(self) -> dict[str, Any]:
        """Return the identity and settings of the model as plain values, for the fingerprint and the summary."""
        ...

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> Sequence[str | Response | ItemError]:
        """Return the reply to each prompt by greedy decoding, without the prompt and without special tokens.

        A reply that ends at the token limit is a `Response` whose `finish` says so.
        """
        ...

    def option_loglikelihoods(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]
    ) -> Sequence[list[float] | ItemError]:
        """Return for each prompt the log-likelihood of each option as the assistant's reply, summed over its tokens.

        A row that is an `OptionScores` says how many tokens each option has; the record keeps them.
        """
        ...

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> Sequence[list[float] | ItemError]:
        """Return for each prompt the log-probability of each word right after `Prompt.prefix`.

        The log-softmax is over the whole vocabulary, in float32. The value of a word with several tokens is their sum.
        """
        ...

    def close(self) -> None:
        """Release weights and connections."""
        ...


RENAMED = {"option_likelihoods": "option_loglikelihoods", "look": "preprocess", "vary": "switch_dtype"}
"""Earlier method name of a model -> present name."""


def check_method_names(model: Model) -> None:
    """Raise `ModelError` for a model with an earlier method name but not the present one."""
    for old, new in RENAMED.items():
        if hasattr(model, old) and not hasattr(model, new):
            raise ModelError(f"{type(model).__name__}.{old} is now called {new}: rename the model's method")


@runtime_checkable
class SupportsReplay(Protocol):
    """A model that returns recorded responses of items instead of answering prompts."""

    def recall(self, items: Sequence[Item]) -> list[Response]:
        """Return the recorded response of each item (all words or options). Raises `ItemError` for a missing one."""
        ...


@runtime_checkable
class MatchesItems(Protocol):
    """A model that must know all items of a run before it answers the first one."""

    def expect(self, items: Iterable[Item]) -> None:
        """Add items of the run. Raises `ModelError` if the model cannot assign its answers to the items."""
        ...


@runtime_checkable
class SupportsProbe(Protocol):
    """A model that checks before the first item whether it can answer the run's prompts.

    `conditions` lists how its prompts differ from the protocol. They are part of the fingerprint.
    """

    @property
    def conditions(self) -> Mapping[str, Any]:
        """Entries of the fingerprint's ``scoring``."""
        ...

    def probe(self, tasks: Iterable[str], answer: AnswerMode, words: Sequence[str]) -> None:
        """Raise `ModelError` if the model lacks something that these tasks need; the message names it."""
        ...


@runtime_checkable
class SupportsPerplexity(Protocol):
    """A model that can score its prompt as well as the reply."""

    def option_perplexities(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]
    ) -> Sequence[list[float] | ItemError]:
        """Return for each prompt and option the mean log-likelihood over the tokens of the prompt and the option.

        It is minus the loss of the whole sequence, so the likeliest option has the greatest value. The first token,
        which nothing predicts, and the placeholders of images do not count.
        """
        ...


class TakesFurtherWords(Protocol):
    """A model that gives the log-probabilities of further words along with those of the score's words."""

    def next_token_logprobs(
        self, prompts: Sequence[Prompt], words: Sequence[str], named: Sequence[str] = (), free: Sequence[str] = ()
    ) -> Sequence[list[float] | ItemError]:
        """Return the log-probability of each word of `words`, `named` and `free`, in this order.

        `words` are as in `Model.next_token_logprobs`. The user asks for those `named`, at the cost of a further pass.
        A word of `free` counts only if it costs none. The value of a word that the model does not give is NaN.
        """
        ...


def takes_further_words(model: object) -> TypeGuard[TakesFurtherWords]:
    """Return whether `next_token_logprobs` has the parameters of further words; an override may lack them."""
    method = model.next_token_logprobs  # type: ignore[attr-defined]
    return {"named", "free"} <= _parameters(getattr(method, "__func__", method))


@functools.cache  # asked for every batch
def _parameters(function: Callable[..., object]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


@runtime_checkable
class PlacesImages(Protocol):
    """A model that knows whether it can put images where a prompt has them."""

    @property
    def moves_images(self) -> bool:
        """Whether images stand before the text, wherever the prompt has them."""
        ...


@runtime_checkable
class SupportsPrefetch(Protocol):
    """A model that can prepare batches in threads during the forward pass of another batch.

    Preparation is optional: the model gives the same answers to prompts that were not prepared or were changed since.
    """

    largest_batch: int
    """Default number of prompts in one forward pass. The engine halves it when memory runs out."""

    def preprocess(self, image: LazyImage) -> None:
        """Decode and preprocess one image. Several threads call it at once. Raises `ItemError` for a broken image."""
        ...

    def prepare(self, prompts: Sequence[Prompt]) -> Sequence[Prompt]:
        """Return the same prompts with their tensors attached. Its thread is not the thread of the forward pass."""
        ...


@runtime_checkable
class SupportsThreads(Protocol):
    """A model that waits for a server. Several threads ask it at once, each for one prompt; it reads images itself."""

    items_at_once: int
    """Number of items in progress that keeps the server busy."""


@runtime_checkable
class RemoteModel(Protocol):
    """A model that computes in other processes: `send` starts a batch ahead of its turn, `receive` waits for it."""

    largest_batch: int | None
    """As `SupportsPrefetch.largest_batch`; None if the remote model names no size."""
    machine: str
    """Type of the remote machines, as `platform.machine` returns it."""
    report: Mapping[str, Any]
    """Distribution of the work as plain values for the summary; kept up to date."""

    @property
    def ahead(self) -> int:
        """Number of batches to send ahead of the one that is awaited."""
        ...

    def send(self, items: Sequence[Item], prompts: Sequence[Prompt], shared: bool) -> Sequence[Prompt]:
        """Send a batch without waiting. Return the same prompts, to be passed to `receive`.

        `shared`: whether the batches sent just before or after it show the same images.
        """
        ...

    def receive(self, items: Sequence[Item], prompts: Sequence[Prompt]) -> Sequence[Response | ItemError]:
        """Wait for the responses of a batch and return them. A batch that was not sent yet is sent now.

        Raises the error that the remote model raised for the batch, or `WorkerDied` if its processes died.
        """
        ...


@runtime_checkable
class SupportsSamples(Protocol):
    """A model whose answers vary from call to call, so that items can be asked several times."""

    def use_sample(self, number: int) -> None:
        """Answer from now on as sample `number`, 0, 1, ...: the same question may get another answer in each.

        A model that is asked in several threads answers so on the calling thread, and as before on the others.
        """
        ...


@runtime_checkable
class SupportsDtypeSwitch(Protocol):
    """A model that can switch dtype. Differences between its answers then measure numerical noise."""

    def switch_dtype(self) -> str | None:
        """Switch to another dtype for good and return its name; None if the model cannot."""
        ...
