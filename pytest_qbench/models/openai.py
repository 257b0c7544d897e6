"""`openai:MODEL@BASE_URL`: a model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_qbench.endpoints.address import parse_address
from pytest_qbench.endpoints.client import EndpointError
from pytest_qbench.endpoints.completion import Completion
from pytest_qbench.endpoints.event_loop import ITEMS_PER_SLOT, Endpoints
from pytest_qbench.endpoints.messages import CONTINUE, data_url, file_url, messages, with_extra
from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models import given_prompts
from pytest_qbench.models.images import GREY, LazyImage, LazyImages
from pytest_qbench.models.openai_scores import FIRST_TOKEN, ReplyScores
from pytest_qbench.models.openai_tokens import PROBE, REJECTED, ReplyTokens
from pytest_qbench.models.openai_words import TOP, WordScores, one_word_prompt
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.prompts import ONE_WORD, RATE, RATE_PREFIX, AnswerMode, Prompt
from pytest_qbench.records import CUT, Response

if TYPE_CHECKING:
    from PIL.Image import Image

# Imports in functions: Pillow loads with the first image.

FILES = frozenset({"image/jpeg", "image/png", "image/webp"})
"""Media types of the files that may be sent as they are."""
PNG = "png"
"""How images are sent that are all encoded anew. A fingerprint of an endpoint that does not say how means this."""
UNSUPPORTED = 415
_PASS: ContextVar[int] = ContextVar("pass", default=0)
"""The pass of the calling thread. Its requests, which the thread of the event loop sends, inherit it."""
_INSTEAD = "or ask for one word with --qbench-model-arg=assessment=ask (scores then compare with such runs only)"


class OpenAIModel:
    """Sends prompts as requests, as many at once as the endpoint has slots. A failed prompt affects no other.

    Quality scores and option log-likelihoods need a server that continues the assistant's turn and reports
    log-probabilities of given tokens, as vLLM does; `probe` checks this. With ``assessment=ask``, for closed endpoints,
    the prompt asks for one of the two words. Their log-probabilities come from the 20 likeliest first tokens.
    """

    needs_images = True

    def __init__(self, spec: ModelSpec, args: Mapping[str, str], endpoints: Endpoints) -> None:
        """Create the client without sending anything. Raises `UsageError` for an unusable address or key."""
        self.name = spec.name
        self.items_at_once = ITEMS_PER_SLOT * endpoints.concurrency
        self._address = parse_address(spec.target)
        self._endpoints = endpoints
        self._args = dict(args)
        self._extra: dict[str, Any] = json.loads(args.get("extra_body", "{}"))
        self._max_pixels = int(args["max_pixels"]) if "max_pixels" in args else None
        self._accepted = FILES if args.get("images", "files") == "files" else frozenset[str]()
        self._asks_one_word = args.get("assessment") == "ask"
        self._client = endpoints.connect(
            self._address, "model", price=parse_price(args.get("price")), revision=args.get("revision"),
            # The weights behind a name can change. Without a revision, a cached reply may come from other weights.
            cached="revision" in args,
        )  # fmt: skip
        self.usage = self._client.usage
        self._tokens = ReplyTokens(self._chat)
        self._scores = ReplyScores(self._chat, self._tokens)
        self._words = WordScores(self._chat, self._tokens, self._scores)
        self._finding_free = threading.Lock()
        self._sees_images: str = "not checked"
        # The number of a request's repetition is a part of its cache key: the pass of its thread, after those before.
        self._passes, self._passes_before = 1, 0

    @property
    def conditions(self) -> dict[str, Any]:
        """Differences between the prompts and the protocol, for the fingerprint."""
        return {"asked": ONE_WORD} if self._asks_one_word else {}

    def describe(self) -> dict[str, Any]:
        """Return address and parameters, without the weights, which an endpoint does not report."""
        given: dict[str, Any] = {key: self._args[key] for key in ("revision", "max_pixels") if key in self._args}
        return {
            "backend": "openai", "name": self.name, "target": self._address.model, "base_url": self._address.base_url,
            **given, "images": self._images_sent, "extra_body": self._extra, "sees_images": self._sees_images,
        }  # fmt: skip

    @property
    def _images_sent(self) -> str:
        """How images are sent: an entry of the fingerprint, because a server may decode JPEG differently."""
        if not self._accepted:
            return PNG
        refused = [kind.partition("/")[2] for kind in sorted(FILES - self._accepted)]
        return "files" + (f", but {' and '.join(refused)} as png" if refused else "")

    def switch_dtype(self) -> str:
        """Repeat requests from now on instead of using cached replies; return a name for that.

        An endpoint keeps its dtype, but its answers vary from call to call.
        """
        self._passes_before += self._passes
        return "repeated requests"

    def use_sample(self, number: int) -> None:
        """Send each request of this thread anew for each `number`. A ``seed`` of ``extra_body`` grows by it."""
        self._passes = max(self._passes, number + 1)
        _PASS.set(number)

    # answers

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str | Response | ItemError]:
        """Return the replies at temperature 0, of at most `max_new_tokens` tokens."""
        given_prompts.note(prompts)

        async def one(prompt: Prompt) -> str | Response:
            reply = await self._chat(prompt, await self._encode_images(prompt), max_tokens=max_new_tokens)
            choice = reply.choices[0]
            text = choice.text.strip()
            return Response(text, finish=CUT) if choice.cut else text

        return self._endpoints.each(prompts, one)

    def option_loglikelihoods(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]
    ) -> list[list[float] | ItemError]:
        """Return the log-likelihood of each option of each prompt as the assistant's reply, summed over tokens."""
        given_prompts.note(prompts)
        self._fetch_tokens(None, {option for own in options for option in own})

        async def one(pair: tuple[Prompt, Sequence[str]]) -> list[float]:
            prompt, own = pair
            images = await self._encode_images(prompt)
            return await self._scores.sums(prompt, images, None, own)

        return self._endpoints.each(list(zip(prompts, options, strict=True)), one)

    def next_token_logprobs(
        self, prompts: Sequence[Prompt], words: Sequence[str], named: Sequence[str] = (), free: Sequence[str] = ()
    ) -> list[list[float] | ItemError]:
        """Return for each prompt the log-probability of each word after `Prompt.prefix`.

        With ``assessment=ask`` the word is the first word of a reply to a prompt that asks for one of `words`. NaN
        stands for a further word that is not among the likeliest, and for one of `free` that takes more requests.
        """
        given_prompts.note(prompts)
        if not self._asks_one_word:
            for prefix in {prompt.prefix for prompt in prompts}:
                self._fetch_tokens(prefix, (*words, *named))
                with self._finding_free:  # once, however many threads ask
                    if free and prefix not in self._words.free:
                        self._prepare(self._words.find_free(prefix, words, free))

        async def one(prompt: Prompt) -> list[float]:
            images = await self._encode_images(prompt)
            if self._asks_one_word:
                return await self._words.as_first_word(prompt, images, words, (*named, *free))
            return await self._words.after_prefix(prompt, images, words, named, free)

        return self._endpoints.each(prompts, one)

    def count_prompt(self, prompt: Prompt) -> PromptCount:
        """Return what the server tells of the tokens of a prompt. Raises `ItemError` where it tells nothing."""
        return self._endpoints.run(self._count_prompt(prompt))

    async def _count_prompt(self, prompt: Prompt) -> PromptCount:
        images = await self._encode_images(prompt)
        try:
            whole = await self._chat(prompt, images, prompt.prefix, max_tokens=1, return_token_ids=True)
        except EndpointError as e:
            if e.status not in REJECTED:
                raise
            whole = await self._chat(prompt, images, max_tokens=1)
        return PromptCount(whole.prompt_ids, whole.usage.get("prompt_tokens"))

    def close(self) -> None:
        """Do nothing: the session's `Endpoints` owns the connections."""

    # what the endpoint supports

    def probe(self, tasks: Iterable[str], answer: AnswerMode, words: Sequence[str]) -> None:
        """Send small test requests. Raises `ModelError` that names a feature the endpoint lacks or silently ignores."""
        tasks, image = set(tasks), _grey("image/png")
        try:
            tokens_without = self._endpoints.run(self._probe_images(image))
            self._endpoints.run(self._probe_files(tokens_without))
            if "perception" in tasks and answer == "likelihood":
                self._endpoints.run(self._probe_options(image))
            if "assessment" in tasks:
                self._endpoints.run(self._probe_words(image, words))
        except ItemError as e:
            raise ModelError(f"openai:{self._address}: {e}") from None

    async def _probe_images(self, image: str) -> object:
        """Check that the server reads images. Return the tokens of a prompt without one, None if they are not known."""
        with_image = await self._chat(PROBE, [image], max_tokens=1)
        try:
            without_image = await self._chat(PROBE, [], max_tokens=1)
        except EndpointError as e:
            if e.status not in REJECTED:
                raise
            self._sees_images = "yes"  # it rejects a prompt without an image, so it reads images
            return None
        counts = [reply.usage.get("prompt_tokens") for reply in (with_image, without_image)]
        if not all(isinstance(count, int) for count in counts):
            self._sees_images = "not checked: the endpoint counts no tokens"
        elif counts[0] == counts[1]:
            raise ItemError("silently ignores images: a prompt has as many tokens with an image as without")
        else:
            self._sees_images = "yes"
            return counts[1]
        return None

    async def _probe_files(self, tokens_without: object) -> None:
        """Find the formats that the server reads beside PNG. A prompt without an image has `tokens_without` tokens."""

        async def accepts(kind: str) -> bool:
            try:
                found = await self._chat(PROBE, [_grey(kind)], max_tokens=1)
            except EndpointError as e:
                if e.status not in (*REJECTED, UNSUPPORTED):
                    raise ItemError(f"{e}; if it cannot read {kind}, add --qbench-model-arg=images=png") from None
                return False
            return tokens_without is None or found.usage.get("prompt_tokens") != tokens_without

        kinds = sorted(self._accepted - {"image/png"})
        found = await asyncio.gather(*(accepts(kind) for kind in kinds))
        self._accepted -= {kind for kind, is_read in zip(kinds, found, strict=True) if not is_read}

    async def _probe_options(self, image: str) -> None:
        missing = (
            "option log-likelihoods need a server that scores given replies, as vLLM does; use --qbench-answer=generate"
        )
        try:
            await self._tokens.store(None, ["Yes", "No"])
            await self._probe_walk(image)
            if not self._scores.walks or (None, "Yes") not in self._tokens.pieces:
                await self._scores.whole(PROBE, [image], None, "Yes")
        except ItemError as e:
            raise ItemError(f"{e}; {missing}") from None

    async def _probe_walk(self, image: str) -> None:
        """Find out whether the server gives the log-probabilities of named tokens."""
        ids = {self._tokens.ids[None, word][0] for word in ("Yes", "No")}
        try:
            values, _ = await self._scores.next_tokens(PROBE, [image], None, ids)
        except EndpointError as e:
            if e.status not in REJECTED:
                raise
        except ItemError:  # no log-probabilities at all
            return
        else:
            self._scores.walks = values.keys() == ids

    async def _probe_words(self, image: str, words: Sequence[str]) -> None:
        prompt = Prompt("probe", RATE, (), RATE_PREFIX)
        try:
            if self._asks_one_word:
                reply = await self._chat(one_word_prompt(PROBE, words), [image], **FIRST_TOKEN, top_logprobs=TOP)
                if len(reply.choices[0].top or ()) < 2:
                    raise ItemError("silently ignores logprobs or top_logprobs")
                return
            await self._tokens.store(RATE_PREFIX, words)
            await self._words.together(prompt, [image], words)
        except ItemError as e:
            raise ItemError(
                f"{e}; quality scores need a server that continues a reply, as vLLM does, {_INSTEAD}"
                if not self._asks_one_word
                else f"{e}; quality scores need log-probabilities"
            ) from None

    # the requests

    async def _chat(self, prompt: Prompt, images: Sequence[str], prefix: str | None = None, **body: Any) -> Completion:
        continuation = {} if prefix is None else CONTINUE
        turns = messages(prompt.parts(len(images)), images, prefix, prompt.system)
        given = {"messages": turns, "temperature": 0, **continuation, **body}
        extra, number = self._extra, self._passes_before + _PASS.get()
        if number and isinstance(extra.get("seed"), int):
            extra = {**extra, "seed": extra["seed"] + number}
        return await self._client.chat(with_extra(given, extra), sample=number)

    async def _encode_images(self, prompt: Prompt) -> list[str]:
        """Return the images as data URLs. A thread reads and encodes them, as both take time."""
        images = prompt.images.lazy_images if isinstance(prompt.images, LazyImages) else prompt.images
        return [await asyncio.to_thread(self._encode, image) for image in images]

    def _encode(self, image: LazyImage | Image) -> str:
        if isinstance(image, LazyImage):
            return image.url(self._accepted, self._max_pixels)
        return data_url(image, self._max_pixels)  # a project changed the image

    # tokens of words and options: only the server has the tokenizer

    def _fetch_tokens(self, prefix: str | None, texts: Iterable[str]) -> None:
        new = [text for text in texts if (prefix, text) not in self._tokens.ids]
        if new:
            self._prepare(self._tokens.store(prefix, new))

    def _prepare(self, requests: Coroutine[Any, Any, None]) -> None:
        """Run requests that no item is the cause of. Raises `ModelError` where one fails."""
        try:
            self._endpoints.run(requests)
        except ItemError as e:
            raise ModelError(f"openai:{self._address}: {e}") from None


@dataclass(frozen=True, slots=True)
class PromptCount:
    """What a server tells of a prompt: the ids of its tokens, and their number. None: not told."""

    ids: tuple[int, ...] | None
    count: int | None


def _grey(media_type: str) -> str:
    """Return a grey image in a file of a media type, as a data URL."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), GREY).save(buffer, media_type.partition("/")[2])
    return file_url(media_type, buffer.getvalue())


def parse_price(text: str | None) -> tuple[float, float] | None:
    """Return the two numbers in ``IN/OUT``, US dollars per million prompt and completion tokens."""
    if text is None:
        return None
    given, written = text.split("/")
    return float(given), float(written)
