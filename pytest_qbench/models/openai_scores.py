"""Log-likelihoods of texts as a reply: a walk over their tokens, or one request for each whole text."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from pytest_qbench.endpoints.completion import Completion
from pytest_qbench.errors import ItemError
from pytest_qbench.models.openai_tokens import ReplyTokens, reply_text
from pytest_qbench.prompts import Prompt

FIRST_TOKEN: Mapping[str, Any] = {"max_tokens": 1, "logprobs": True}
Path = tuple[int, ...]


class ReplyScores:
    """Scores texts as a reply to a prompt, or as its rest after a prefix. `chat` sends a request.

    The tokens of the texts form a trie. A walk takes one request for each inner node: the log-probabilities of the
    tokens that follow it. All of them continue the same prompt, so the server computes the prompt once and takes it
    from its cache for the others. A request for a whole text has the server compute the whole prompt again, as servers
    do not cache a prompt whose own log-probabilities are asked for. The sums are the same.
    """

    def __init__(self, chat: Callable[..., Awaitable[Completion]], tokens: ReplyTokens) -> None:
        self._chat, self._tokens = chat, tokens
        self.walks = False
        """Whether the server gives the log-probabilities of named tokens; `OpenAIModel.probe` finds out."""
        self._unreachable: set[tuple[str | None, Path]] = set()

    async def sums(
        self, prompt: Prompt, images: Sequence[str], prefix: str | None, texts: Sequence[str]
    ) -> list[float]:
        """Return the log-likelihood of each text, summed over its tokens."""
        paths = {text: self._tokens.ids[prefix, text] for text in texts}
        walked = [text for text in paths if self.walks and self._reaches(prefix, text)]
        found: dict[tuple[Path, int], float] = {}
        if walked:
            root, *inner = self._nodes(prefix, {text: paths[text] for text in walked})
            await self._step(prompt, images, prefix, root, found)  # first, so that the others find it in the cache
            await asyncio.gather(*(self._step(prompt, images, prefix, node, found) for node in inner))
        sums = {}
        for text in walked:
            steps = [(paths[text][:k], token) for k, token in enumerate(paths[text])]
            if all(step in found for step in steps):
                sums[text] = math.fsum(found[step] for step in steps)
        whole = [text for text in paths if text not in sums]
        values = await asyncio.gather(*(self.whole(prompt, images, prefix, text) for text in whole))
        sums.update(zip(whole, values, strict=True))
        return [sums[text] for text in texts]

    async def whole(self, prompt: Prompt, images: Sequence[str], prefix: str | None, text: str) -> float:
        """Return the log-likelihood of one text by the log-probabilities of a prompt that contains it."""
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

    async def next_tokens(
        self, prompt: Prompt, images: Sequence[str], reply: str | None, ids: Collection[int], **more: Any
    ) -> tuple[dict[int, float], Completion]:
        """Return the log-probabilities of those tokens of `ids` after a begun reply that the server gives."""
        found = await self._chat(
            prompt, images, reply, **FIRST_TOKEN, logprob_token_ids=[*ids], return_tokens_as_token_ids=True, **more
        )
        top = found.choices[0].top
        if top is None:
            raise ItemError("silently ignores logprobs")
        return {token: top[key] for token in ids if (key := f"token_id:{token}") in top}, found

    def _reaches(self, prefix: str | None, text: str) -> bool:
        """Return whether a text can be asked for token by token: the texts of its tokens tell where each begins."""
        path = self._tokens.ids[prefix, text]
        return all(
            (prefix, path[:k]) not in self._unreachable and self._tokens.begun(prefix, text, k) is not None
            for k in range(1, len(path))
        )

    def _nodes(self, prefix: str | None, paths: Mapping[str, Path]) -> list[tuple[Path, str | None, list[int]]]:
        """Return the inner nodes of the trie, the root first: path, begun reply, and the tokens that follow."""
        begun: dict[Path, str | None] = {(): prefix}
        following: dict[Path, dict[int, None]] = {(): {}}
        for text, path in paths.items():
            for k, token in enumerate(path):
                if k:
                    begun.setdefault(path[:k], self._tokens.begun(prefix, text, k))
                following.setdefault(path[:k], {})[token] = None
        return [(path, begun[path], [*tokens]) for path, tokens in following.items()]

    async def _step(
        self,
        prompt: Prompt,
        images: Sequence[str],
        prefix: str | None,
        node: tuple[Path, str | None, Iterable[int]],
        found: dict[tuple[Path, int], float],
    ) -> None:
        """Add the log-probabilities of the tokens after one node, unless the server reads its text as other tokens."""
        path, begun, ids = node
        values, reply = await self.next_tokens(prompt, images, begun, [*ids], return_token_ids=bool(path))
        if path and (reply.prompt_ids or ())[-len(path) :] != path:
            self._unreachable.add((prefix, path))
            return
        if missing := [token for token in ids if token not in values]:
            raise ItemError(f"silently ignores logprob_token_ids: no log-probability of token {missing[0]}")
        found.update(((path, token), value) for token, value in values.items())
