"""`openai:MODEL@BASE_URL`: a model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_qbench.endpoints.address import parse_address
from pytest_qbench.endpoints.client import EndpointError
from pytest_qbench.endpoints.completion import Completion
from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.endpoints.messages import CONTINUE, data_url, merged, messages
from pytest_qbench.errors import ItemError, ModelError
from pytest_qbench.models.specs import ModelSpec
from pytest_qbench.prompts import ONE_WORD, RATE, RATE_PREFIX, AnswerMode, Prompt

TOP = 20  # the most candidates that closed endpoints give
_INSTEAD = (
    "or ask for one word instead, with scores that compare only with their like: --qbench-model-arg=assessment=ask"
)


class OpenAIModel:
    """Prompts as requests, as many at a time as the endpoint's slots; a prompt that fails costs itself alone.

    Quality scores and option likelihoods need a server that continues the assistant's turn and gives log-probabilities
    of named tokens (vLLM does); `probe` finds out. ``assessment=ask`` works with closed endpoints: the user's turn
    asks for one of the two words, and their log-probabilities come from the likeliest 20 first tokens.
    """

    needs_images = True

    def __init__(self, spec: ModelSpec, args: Mapping[str, str], endpoints: Endpoints) -> None:
        """Make the client; nothing is sent yet. Raises `UsageError` for an unusable address or key."""
        self.name = spec.name
        self._address = parse_address(spec.target)
        self._endpoints = endpoints
        self._args = dict(args)
        self._extra: dict[str, Any] = json.loads(args.get("extra_body", "{}"))
        self._max_pixels = int(args["max_pixels"]) if "max_pixels" in args else None
        self._asks = args.get("assessment") == "ask"
        self._client = endpoints.connect(
            self._address, "model", price=parse_price(args.get("price")), revision=args.get("revision"),
            # Weights can change behind a name, and old replies would then pass for the new model's.
            cached="revision" in args,
        )  # fmt: skip
        self.usage = self._client.usage
        self._tokens: dict[tuple[str | None, str], tuple[int, ...]] = {}
        self._sees: str = "not checked"
        self._sample = 0  # tells equal requests apart in the cache of replies
        self._continues = False  # whether the endpoint is known to continue replies

    @property
    def conditions(self) -> dict[str, Any]:
        """What is asked otherwise than the protocol says; it goes into the fingerprint."""
        return {"asked": ONE_WORD} if self._asks else {}

    def describe(self) -> dict[str, Any]:
        """Return address and parameters; an endpoint does not say which weights it runs."""
        told: dict[str, Any] = {
            key: self._args[key] for key in ("revision", "max_pixels", "max_new_tokens") if key in self._args
        }
        return {
            "backend": "openai", "name": self.name, "target": self._address.model, "base_url": self._address.base_url,
            **told, "extra_body": self._extra, "sees_images": self._sees,
        }  # fmt: skip

    def vary(self) -> str:
        """Ask again from now on, past the cache: what an endpoint then answers differently is noise."""
        self._sample = 1
        return "asked again"

    # asking

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[str | ItemError]:
        """Return the replies at temperature 0; at most `max_new_tokens` tokens (a model argument overrides it)."""
        limit = int(self._args.get("max_new_tokens", max_new_tokens))

        async def one(prompt: Prompt) -> str:
            reply = await self._chat(prompt.text, await self._encoded(prompt), max_tokens=limit)
            return reply.choices[0].text.strip()

        return self._endpoints.each(prompts, one)

    def option_likelihoods(
        self, prompts: Sequence[Prompt], options: Sequence[Sequence[str]]
    ) -> list[list[float] | ItemError]:
        """Return for each prompt the summed log-likelihood of each option's tokens as the assistant's reply.

        One request an option: no endpoint scores several replies to one conversation.
        """
        self._learn(None, {option for own in options for option in own})

        async def one(asked: tuple[Prompt, Sequence[str]]) -> list[float]:
            prompt, own = asked
            images = await self._encoded(prompt)
            return list(await asyncio.gather(*(self._likelihood(prompt, images, None, option) for option in own)))

        return self._endpoints.each(list(zip(prompts, options, strict=True)), one)

    def next_token_logprobs(self, prompts: Sequence[Prompt], words: Sequence[str]) -> list[list[float] | ItemError]:
        """Return for each prompt the log-probability of each word after `Prompt.prefix`.

        With ``assessment=ask``: as the first word of a reply to a question for one word.
        """
        if self._asks:
            return self._endpoints.each(prompts, lambda prompt: self._ask_word(prompt, words))
        for prefix in {prompt.prefix for prompt in prompts}:
            self._learn(prefix, words)
        return self._endpoints.each(prompts, lambda prompt: self._continue(prompt, words))

    def close(self) -> None:
        """Do nothing: connections belong to the session's `Endpoints`."""

    # finding out what the endpoint does

    def probe(self, tasks: Iterable[str], answer: AnswerMode, words: Sequence[str]) -> None:
        """Ask small questions first; raises `ModelError` that names what the endpoint cannot do or silently drops."""
        from PIL import Image

        asked, image = set(tasks), data_url(Image.new("RGB", (64, 64), (128, 128, 128)))
        try:
            self._endpoints.run(self._probe_images(image))
            if "perception" in asked and answer == "likelihood":
                self._endpoints.run(self._probe_options(image))
            if "assessment" in asked:
                self._endpoints.run(self._probe_words(image, words))
        except ItemError as e:
            raise ModelError(f"openai:{self._address}: {e}") from None

    async def _probe_images(self, image: str) -> None:
        seeing = await self._chat(RATE, [image], max_tokens=1)
        try:
            blind = await self._chat(RATE, [], max_tokens=1)
        except EndpointError as e:
            if e.status not in (400, 422):
                raise
            self._sees = "yes"  # it refuses a question without an image, so it looks for one
            return
        counts = [reply.usage.get("prompt_tokens") for reply in (seeing, blind)]
        if not all(isinstance(count, int) for count in counts):
            self._sees = "not checked: the endpoint counts no tokens"
        elif counts[0] == counts[1]:
            raise ItemError("drops images without a word: a prompt with one has as many tokens as without")
        else:
            self._sees = "yes"

    async def _probe_options(self, image: str) -> None:
        missing = (
            "option likelihoods need a server that scores given replies, as vLLM does; use --qbench-answer=generate"
        )
        try:
            await self._learned(None, ["Yes"])
            await self._likelihood(Prompt("probe", RATE), [image], None, "Yes")
        except ItemError as e:
            raise ItemError(f"{e}; {missing}") from None

    async def _probe_words(self, image: str, words: Sequence[str]) -> None:
        prompt = Prompt("probe", RATE, (), RATE_PREFIX)
        try:
            if self._asks:
                reply = await self._chat(_one_word(RATE, words), [image], **_FIRST_TOKEN, top_logprobs=TOP)
                if len(reply.choices[0].top or ()) < 2:
                    raise ItemError("drops logprobs or top_logprobs without a word")
                return
            await self._learned(RATE_PREFIX, words)
            await self._words_after(prompt, [image], words)
        except ItemError as e:
            raise ItemError(
                f"{e}; quality scores need a server that continues a reply, as vLLM does, {_INSTEAD}"
                if not self._asks
                else f"{e}; quality scores need log-probabilities"
            ) from None

    # the requests

    async def _chat(self, text: str, images: Sequence[str], prefix: str | None = None, **body: Any) -> Completion:
        going_on = {} if prefix is None else CONTINUE
        given = {"messages": messages(text, images, prefix), "temperature": 0, **going_on, **body}
        return await self._client.chat(merged(given, self._extra), sample=self._sample)

    async def _encoded(self, prompt: Prompt) -> list[str]:
        return [await asyncio.to_thread(data_url, image, self._max_pixels) for image in prompt.images]

    async def _continue(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        return await self._words_after(prompt, await self._encoded(prompt), words)

    async def _words_after(self, prompt: Prompt, images: Sequence[str], words: Sequence[str]) -> list[float]:
        """Words of one token by one request, longer ones by the likelihood of their sequence."""
        tokens = [self._tokens[prompt.prefix, word] for word in words]
        if any(len(each) > 1 for each in tokens):
            scores = (self._likelihood(prompt, images, prompt.prefix, word) for word in words)
            return list(await asyncio.gather(*scores))
        ids = [each[0] for each in tokens]
        reply = await self._chat(
            prompt.text, images, prompt.prefix, **_FIRST_TOKEN, logprob_token_ids=ids, return_tokens_as_token_ids=True
        )
        top = reply.choices[0].top
        if top is None:
            raise ItemError("drops logprobs without a word")
        missing = [word for word, token in zip(words, ids, strict=True) if f"token_id:{token}" not in top]
        if missing:
            raise ItemError(f"drops logprob_token_ids without a word: no log-probability of {', '.join(missing)}")
        return [top[f"token_id:{token}"] for token in ids]

    async def _likelihood(self, prompt: Prompt, images: Sequence[str], prefix: str | None, text: str) -> float:
        """Return the summed log-probability of the tokens of `text` as the (rest of the) reply."""
        tokens = self._tokens[prefix, text]
        reply = await self._chat(
            prompt.text, images, _joined(prefix, text), max_tokens=1, prompt_logprobs=0, return_token_ids=True
        )
        if reply.prompt_ids is None or reply.prompt_logprobs is None:
            raise ItemError("drops prompt_logprobs or return_token_ids without a word")
        n = len(tokens)
        values = reply.prompt_logprobs[-n:]
        if reply.prompt_ids[-n:] != tokens or not all(v is not None and math.isfinite(v) for v in values):
            raise ItemError(f"no log-probability of every token of {text!r}")
        return math.fsum(value for value in values if value is not None)

    async def _ask_word(self, prompt: Prompt, words: Sequence[str]) -> list[float]:
        images = await self._encoded(prompt)
        reply = await self._chat(_one_word(prompt.text, words), images, **_FIRST_TOKEN, top_logprobs=TOP)
        top = reply.choices[0].top or {}
        scores = []
        for word in words:
            # "Good", " good" and "good" are one word to the reader.
            found = [value for token, value in top.items() if token.strip().casefold() == word.casefold()]
            if not found:
                raise ItemError(f"{word!r} is not among the {len(top)} likeliest words: no score")
            best = max(found)
            scores.append(best + math.log(math.fsum(math.exp(value - best) for value in found)))
        return scores

    # tokens of words and options, which only the server knows

    def _learn(self, prefix: str | None, texts: Iterable[str]) -> None:
        new = [text for text in texts if (prefix, text) not in self._tokens]
        if new:
            try:
                self._endpoints.run(self._learned(prefix, new))
            except ItemError as e:
                raise ModelError(f"openai:{self._address}: {e}") from None

    async def _learned(self, prefix: str | None, texts: Iterable[str]) -> None:
        """Note the token ids of `texts` as the reply, or as the words after `prefix` in it.

        The ids of a text alone are wrong (a leading space, merges), so this is what it adds to a prompt.
        """
        before = await self._prompt_ids(prefix)
        if not self._continues:
            await self._check_continues(_joined(prefix, min(texts)))

        async def one(text: str) -> None:
            after = await self._prompt_ids(_joined(prefix, text))
            if len(after) <= len(before) or after[: len(before)] != before:
                raise ItemError(f"cannot score {text!r}: its tokens merge into what stands before it")
            self._tokens[prefix, text] = after[len(before) :]

        await asyncio.gather(*(one(text) for text in sorted(texts)))

    async def _check_continues(self, reply: str) -> None:
        """Raise where the assistant's turn is closed in spite of what is asked: its end would be scored too."""
        open_, closed = await self._prompt_ids(reply), await self._prompt_ids(reply, continue_final_message=False)
        if open_ == closed:  # or the template closes no turn: a server that knows both options refuses both together
            try:
                await self._prompt_ids(reply, add_generation_prompt=True)
            except EndpointError as e:
                if e.status not in (400, 422):
                    raise
            else:
                raise ItemError("drops continue_final_message without a word")
        self._continues = True

    async def _prompt_ids(self, prefix: str | None, **options: bool) -> tuple[int, ...]:
        reply = await self._chat(RATE, [], prefix, max_tokens=1, return_token_ids=True, **options)
        if reply.prompt_ids is None:
            raise ItemError("drops return_token_ids without a word")
        return reply.prompt_ids


_FIRST_TOKEN: Mapping[str, Any] = {"max_tokens": 1, "logprobs": True}


def parse_price(text: str | None) -> tuple[float, float] | None:
    """Return ``IN/OUT`` as dollars per million prompt and completion tokens."""
    if text is None:
        return None
    given, written = text.split("/")
    return float(given), float(written)


def _joined(prefix: str | None, text: str) -> str:
    return text.strip() if prefix is None else f"{prefix} {text.strip()}"


def _one_word(text: str, words: Sequence[str]) -> str:
    return f"{text} {ONE_WORD.format(*words)}"
