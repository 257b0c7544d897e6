"""`openai:MODEL@BASE_URL`: a model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pytest_qbench.endpoints.address import parse_address
from pytest_qbench.endpoints.client import EndpointError
from pytest_qbench.endpoints.completion import Completion
from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.endpoints.messages import CONTINUE, data_url, messages, with_extra
from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models import given_prompts
from pytest_qbench.models.openai_tokens import PROBE, REJECTED, ReplyTokens, reply_text
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.prompts import ONE_WORD, RATE, RATE_PREFIX, AnswerMode, Prompt
from pytest_qbench.records import CUT, Response

TOP = 20  # number of candidates for a token, the maximum of closed endpoints
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
        self._address = parse_address(spec.target)
        self._endpoints = endpoints
        self._args = dict(args)
        self._extra: dict[str, Any] = json.loads(args.get("extra_body", "{}"))
        self._max_pixels = int(args["max_pixels"]) if "max_pixels" in args else None
        self._asks_one_word = args.get("assessment") == "ask"
        self._client = endpoints.connect(
            self._address, "model", price=parse_price(args.get("price")), revision=args.get("revision"),
            # The weights behind a name can change. Without a revision, a cached reply may come from other weights.
            cached="revision" in args,
        )  # fmt: skip
        self.usage = self._client.usage
        self._tokens = ReplyTokens(self._chat)
        self._free: dict[str | None, list[str]] = {}  # by prefix, the words that take no further request
        self._sees_images: str = "not checked"
        self._sample = 0  # part of the cache key, so that an equal request can be repeated

    @property
    def conditions(self) -> dict[str, Any]:
        """Differences between the prompts and the protocol, for the fingerprint."""
        return {"asked": ONE_WORD} if self._asks_one_word else {}

    def describe(self) -> dict[str, Any]:
        """Return address and parameters, without the weights, which an endpoint does not report."""
        given: dict[str, Any] = {key: self._args[key] for key in ("revision", "max_pixels") if key in self._args}
        return {
            "backend": "openai", "name": self.name, "target": self._address.model, "base_url": self._address.base_url,
            **given, "extra_body": self._extra, "sees_images": self._sees_images,
        }  # fmt: skip

    def switch_dtype(self) -> str:
        """Repeat requests from now on instead of using cached replies; return a name for that.

        An endpoint keeps its dtype, but its answers vary from call to call.
        """
        self._sample += 1
        return "repeated requests"

    def use_sample(self, number: int) -> None:
        """Send each request anew for each `number`. A ``seed`` of the user's ``extra_body`` grows by it."""
        self._sample = number

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
        """Return the log-likelihood of each option of each prompt as the assistant's reply, summed over tokens.

        Each option takes one request, as endpoints cannot score several replies to one conversation.
        """
        given_prompts.note(prompts)
        self._fetch_tokens(None, {option for own in options for option in own})

        async def one(pair: tuple[Prompt, Sequence[str]]) -> list[float]:
            prompt, own = pair
            images = await self._encode_images(prompt)
            return list(await asyncio.gather(*(self._likelihood(prompt, images, None, option) for option in own)))

        return self._endpoints.each(list(zip(prompts, options, strict=True)), one)

    def next_token_logprobs(
        self, prompts: Sequence[Prompt], words: Sequence[str], named: Sequence[str] = (), free: Sequence[str] = ()
    ) -> list[list[float] | ItemError]:
        """Return for each prompt the log-probability of each word after `Prompt.prefix`.

        With ``assessment=ask`` the word is the first word of a reply to a prompt that asks for one of `words`. NaN
        stands for a further word that is not among the likeliest, and for one of `free` that takes more requests.
        """
        given_prompts.note(prompts)
        if self._asks_one_word:
            return self._endpoints.each(prompts, lambda prompt: self._score_first_word(prompt, words, (*named, *free)))
        for prefix in {prompt.prefix for prompt in prompts}:
            self._fetch_tokens(prefix, (*words, *named))
            self._fetch_free(prefix, words, free)
        return self._endpoints.each(prompts, lambda prompt: self._score_words(prompt, words, named, free))

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
        from PIL import Image

        tasks, image = set(tasks), data_url(Image.new("RGB", (64, 64), (128, 128, 128)))
        try:
            self._endpoints.run(self._probe_images(image))
            if "perception" in tasks and answer == "likelihood":
                self._endpoints.run(self._probe_options(image))
            if "assessment" in tasks:
                self._endpoints.run(self._probe_words(image, words))
        except ItemError as e:
            raise ModelError(f"openai:{self._address}: {e}") from None

    async def _probe_images(self, image: str) -> None:
        with_image = await self._chat(PROBE, [image], max_tokens=1)
        try:
            without_image = await self._chat(PROBE, [], max_tokens=1)
        except EndpointError as e:
            if e.status not in REJECTED:
                raise
            self._sees_images = "yes"  # it rejects a prompt without an image, so it reads images
            return
        counts = [reply.usage.get("prompt_tokens") for reply in (with_image, without_image)]
        if not all(isinstance(count, int) for count in counts):
            self._sees_images = "not checked: the endpoint counts no tokens"
        elif counts[0] == counts[1]:
            raise ItemError("silently ignores images: a prompt has as many tokens with an image as without")
        else:
            self._sees_images = "yes"

    async def _probe_options(self, image: str) -> None:
        missing = (
            "option log-likelihoods need a server that scores given replies, as vLLM does; use --qbench-answer=generate"
        )
        try:
            await self._tokens.store(None, ["Yes"])
            await self._likelihood(PROBE, [image], None, "Yes")
        except ItemError as e:
            raise ItemError(f"{e}; {missing}") from None

    async def _probe_words(self, image: str, words: Sequence[str]) -> None:
        prompt = Prompt("probe", RATE, (), RATE_PREFIX)
        try:
            if self._asks_one_word:
                reply = await self._chat(_one_word(PROBE, words), [image], **_FIRST_TOKEN, top_logprobs=TOP)
                if len(reply.choices[0].top or ()) < 2:
                    raise ItemError("silently ignores logprobs or top_logprobs")
                return
            await self._tokens.store(RATE_PREFIX, words)
            await self._words_after(prompt, [image], words)
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
        extra = self._extra
        if self._sample and isinstance(extra.get("seed"), int):
            extra = {**extra, "seed": extra["seed"] + self._sample}
        return await self._client.chat(with_extra(given, extra), sample=self._sample)

    async def _encode_images(self, prompt: Prompt) -> list[str]:
        return [await asyncio.to_thread(data_url, image, self._max_pixels) for image in prompt.images]

    async def _score_words(
        self, prompt: Prompt, words: Sequence[str], named: Sequence[str], free: Sequence[str]
    ) -> list[float]:
        """Return the log-probability of each word: one request for all words of one token, one for each other word."""
        images = await self._encode_images(prompt)
        together = list(words)
        if not self._tokens.has_several(prompt.prefix, words):
            together += [word for word in named if not self._tokens.has_several(prompt.prefix, [word])]
            together += [word for word in free if word in self._free[prompt.prefix]]
        alone = [word for word in named if word not in together]
        values, *others = await asyncio.gather(
            self._words_after(prompt, images, together),
            *(self._words_after(prompt, images, [word]) for word in alone),
        )
        found = dict(zip([*together, *alone], [*values, *(value for (value,) in others)], strict=True))
        return [found.get(word, math.nan) for word in (*words, *named, *free)]

    async def _words_after(self, prompt: Prompt, images: Sequence[str], words: Sequence[str]) -> list[float]:
        """Return the log-probability of each word, with one request if each has one token, else one per word."""
        tokens = [self._tokens.ids[prompt.prefix, word] for word in words]
        if self._tokens.has_several(prompt.prefix, words):
            scores = (self._likelihood(prompt, images, prompt.prefix, word) for word in words)
            return list(await asyncio.gather(*scores))
        ids = [each[0] for each in tokens]
        reply = await self._chat(
            prompt, images, prompt.prefix, **_FIRST_TOKEN, logprob_token_ids=ids, return_tokens_as_token_ids=True
        )
        top = reply.choices[0].top
        if top is None:
            raise ItemError("silently ignores logprobs")
        missing = [word for word, token in zip(words, ids, strict=True) if f"token_id:{token}" not in top]
        if missing:
            raise ItemError(f"silently ignores logprob_token_ids: no log-probability of {', '.join(missing)}")
        return [top[f"token_id:{token}"] for token in ids]

    async def _likelihood(self, prompt: Prompt, images: Sequence[str], prefix: str | None, text: str) -> float:
        """Return the log-probability, summed over tokens, of `text` as the reply or as its rest after `prefix`."""
        tokens = self._tokens.ids[prefix, text]
        reply = await self._chat(
            prompt, images, reply_text(prefix, text), max_tokens=1, prompt_logprobs=0, return_token_ids=True
        )
        if reply.prompt_ids is None or reply.prompt_logprobs is None:
            raise ItemError("silently ignores prompt_logprobs or return_token_ids")
        n = len(tokens)
        values = reply.prompt_logprobs[-n:]
        if reply.prompt_ids[-n:] != tokens or not all(v is not None and math.isfinite(v) for v in values):
            raise ItemError(f"no log-probability of every token of {text!r}")
        return math.fsum(value for value in values if value is not None)

    async def _score_first_word(self, prompt: Prompt, words: Sequence[str], further: Sequence[str]) -> list[float]:
        """Return the log-probability of each word as the first of a reply to a prompt that asks for one of `words`.

        NaN stands for a `further` word that is not among the likeliest tokens.
        """
        images = await self._encode_images(prompt)
        reply = await self._chat(_one_word(prompt, words), images, **_FIRST_TOKEN, top_logprobs=TOP)
        top = reply.choices[0].top or {}
        scores = []
        for word in (*words, *further):
            # "Good", " good" and "good" are the same word, so their probabilities add up.
            found = [value for token, value in top.items() if token.strip().casefold() == word.casefold()]
            if not found and word in words:
                raise ItemError(f"{word!r} is not among the {len(top)} likeliest first tokens: no score")
            best = max(found, default=math.nan)
            scores.append(best + math.log(math.fsum(math.exp(value - best) for value in found)) if found else math.nan)
        return scores

    # tokens of words and options: only the server has the tokenizer

    def _fetch_tokens(self, prefix: str | None, texts: Iterable[str]) -> None:
        new = [text for text in texts if (prefix, text) not in self._tokens.ids]
        if new:
            try:
                self._endpoints.run(self._tokens.store(prefix, new))
            except ItemError as e:
                raise ModelError(f"openai:{self._address}: {e}") from None

    def _fetch_free(self, prefix: str | None, words: Sequence[str], free: Sequence[str]) -> None:
        if free and prefix not in self._free:
            try:
                self._free[prefix] = self._endpoints.run(self._find_free(prefix, words, free))
            except ItemError as e:
                raise ModelError(f"openai:{self._address}: {e}") from None

    async def _find_free(self, prefix: str | None, words: Sequence[str], free: Sequence[str]) -> list[str]:
        """Return the words of `free` that one request gives along with the score's words, and store their tokens.

        A word with several tokens is left out. If the server gives no log-probabilities of so many tokens, all are.
        """
        if self._tokens.has_several(prefix, words):
            return []
        found = await self._tokens.store_single(prefix, free)
        try:
            await self._words_after(replace(PROBE, prefix=prefix), [], [*words, *found])
        except EndpointError as e:
            if e.status not in REJECTED:
                raise
            return []
        except ItemError:  # the reply lacks one of the tokens
            return []
        return found


@dataclass(frozen=True, slots=True)
class PromptCount:
    """What a server tells of a prompt: the ids of its tokens, and their number. None: not told."""

    ids: tuple[int, ...] | None
    count: int | None


_FIRST_TOKEN: Mapping[str, Any] = {"max_tokens": 1, "logprobs": True}


def parse_price(text: str | None) -> tuple[float, float] | None:
    """Return the two numbers in ``IN/OUT``, US dollars per million prompt and completion tokens."""
    if text is None:
        return None
    given, written = text.split("/")
    return float(given), float(written)


def _one_word(prompt: Prompt, words: Sequence[str]) -> Prompt:
    *first, last = words
    return replace(prompt, text=f"{prompt.text} {ONE_WORD.format(', '.join(first), last)}")
