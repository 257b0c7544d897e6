"""Log-probabilities of words: after a prefix as their tokens have them, or as the first word of a reply."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from pytest_qbench.endpoints.client import EndpointError
from pytest_qbench.endpoints.completion import Completion
from pytest_qbench.errors import ItemError
from pytest_qbench.models.openai_scores import FIRST_TOKEN, ReplyScores
from pytest_qbench.models.openai_tokens import PROBE, REJECTED, ReplyTokens
from pytest_qbench.prompts import ONE_WORD, Prompt

TOP = 20  # number of candidates for a token, the maximum of closed endpoints


class WordScores:
    """Scores the words of a quality score. `chat` sends a request; `scores` serves words of several tokens."""

    def __init__(self, chat: Callable[..., Awaitable[Completion]], tokens: ReplyTokens, scores: ReplyScores) -> None:
        self._chat, self._tokens, self._scores = chat, tokens, scores
        self.free: dict[str | None, list[str]] = {}
        """By prefix, the words that one request gives along with the score's words; `find_free` fills it."""

    async def after_prefix(
        self, prompt: Prompt, images: Sequence[str], words: Sequence[str], named: Sequence[str], free: Sequence[str]
    ) -> list[float]:
        """Return the log-probability of each word: one request for all words of one token, one for each other word.

        NaN stands for one of `free` that takes a further request.
        """
        together = list(words)
        if not self._tokens.has_several(prompt.prefix, words):
            together += [word for word in named if not self._tokens.has_several(prompt.prefix, [word])]
            together += [word for word in free if word in self.free[prompt.prefix]]
        alone = [word for word in named if word not in together]
        values, *others = await asyncio.gather(
            self.together(prompt, images, together),
            *(self.together(prompt, images, [word]) for word in alone),
        )
        found = dict(zip([*together, *alone], [*values, *(value for (value,) in others)], strict=True))
        return [found.get(word, math.nan) for word in (*words, *named, *free)]

    async def together(self, prompt: Prompt, images: Sequence[str], words: Sequence[str]) -> list[float]:
        """Return the log-probability of each word, with one request if each has one token."""
        if self._tokens.has_several(prompt.prefix, words):
            return await self._scores.sums(prompt, images, prompt.prefix, words)
        ids = [self._tokens.ids[prompt.prefix, word][0] for word in words]
        values, _ = await self._scores.next_tokens(prompt, images, prompt.prefix, ids)
        if missing := [word for word, token in zip(words, ids, strict=True) if token not in values]:
            raise ItemError(f"silently ignores logprob_token_ids: no log-probability of {', '.join(missing)}")
        return [values[token] for token in ids]

    async def as_first_word(
        self, prompt: Prompt, images: Sequence[str], words: Sequence[str], further: Sequence[str]
    ) -> list[float]:
        """Return the log-probability of each word as the first of a reply to a prompt that asks for one of `words`.

        NaN stands for a `further` word that is not among the likeliest tokens.
        """
        reply = await self._chat(one_word_prompt(prompt, words), images, **FIRST_TOKEN, top_logprobs=TOP)
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

    async def find_free(self, prefix: str | None, words: Sequence[str], free: Sequence[str]) -> None:
        """Note which words of `free` one request gives along with the score's words, and store their tokens."""
        self.free[prefix] = await self._given_along(prefix, words, free)

    async def _given_along(self, prefix: str | None, words: Sequence[str], free: Sequence[str]) -> list[str]:
        """Return the words of `free` that have one token.

        If the server gives no log-probabilities of so many tokens, there are none.
        """
        if self._tokens.has_several(prefix, words):
            return []
        found = await self._tokens.store_single(prefix, free)
        try:
            await self.together(replace(PROBE, prefix=prefix), [], [*words, *found])
        except EndpointError as e:
            if e.status not in REJECTED:
                raise
            return []
        except ItemError:  # the reply lacks one of the tokens
            return []
        return found


def one_word_prompt(prompt: Prompt, words: Sequence[str]) -> Prompt:
    """Return the prompt with a request for one of `words`."""
    *first, last = words
    return replace(prompt, text=f"{prompt.text} {ONE_WORD.format(', '.join(first), last)}")
