"""The token ids of words and options: only the server of an endpoint has the tokenizer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from pytest_qbench.endpoints.client import EndpointError
from pytest_qbench.endpoints.completion import Completion
from pytest_qbench.errors import ItemError
from pytest_qbench.prompts import RATE, Prompt

T = TypeVar("T")
PROBE = Prompt("probe", RATE)
"""The prompt of requests that ask what the server supports."""
REJECTED = (400, 422)
"""HTTP statuses of a request with parameters that the server does not take."""


class ReplyTokens:
    """The token ids of texts as a reply, or as the rest of a reply after a prefix.

    `ids` maps prefix and text to token ids, `pieces` to the texts of these tokens where the server gives them. `chat`
    sends a request: prompt, images and prefix.
    """

    def __init__(self, chat: Callable[..., Awaitable[Completion]]) -> None:
        self.ids: dict[tuple[str | None, str], tuple[int, ...]] = {}
        self.pieces: dict[tuple[str | None, str], tuple[str, ...]] = {}
        self._chat = chat
        self._begun: dict[tuple[str | None, str | None], asyncio.Task[Any]] = {}
        self._continues = False  # whether a request has shown that the endpoint continues replies

    def has_several(self, prefix: str | None, words: Sequence[str]) -> bool:
        """Return whether one of the words has several tokens."""
        return any(len(self.ids[prefix, word]) > 1 for word in words)

    async def store(self, prefix: str | None, texts: Iterable[str]) -> None:
        """Store the token ids of `texts` as the reply, or as the words after `prefix` in the reply.

        A text alone could have other ids (leading space, merges), so these are the ids that the text adds to a prompt.
        """
        texts = set(texts)
        before = await self._once((prefix, None), lambda: self.prompt_ids(prefix))
        if not self._continues:
            await self._check_continues(reply_text(prefix, min(texts)))

        async def one(text: str) -> None:
            # The texts of the tokens come with the log-probabilities. Words after a prefix do not need them.
            reply = await self._prompt(reply_text(prefix, text), **({} if prefix else {"prompt_logprobs": 0}))
            after = reply.prompt_ids or ()
            if len(after) <= len(before) or after[: len(before)] != before:
                raise ItemError(f"cannot score {text!r}: its tokens merge with the text before it")
            self.ids[prefix, text] = after[len(before) :]
            texts = (reply.prompt_texts or ())[len(before) :]
            if known := tuple(each for each in texts if each is not None):
                self.pieces[prefix, text] = known

        await asyncio.gather(*(self._once((prefix, text), partial(one, text)) for text in sorted(texts)))

    async def _once(self, key: tuple[str | None, str | None], work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the result of `work`, which starts once for a key, however many items wait. No failure is kept."""
        task = self._begun.get(key)
        if task is None:
            task = self._begun[key] = asyncio.create_task(work())
        try:
            return await asyncio.shield(task)
        finally:
            if not task.done() or task.cancelled() or task.exception() is not None:
                self._begun.pop(key, None)

    async def store_single(self, prefix: str | None, words: Iterable[str]) -> list[str]:
        """Store the ids of the words that have one token after `prefix`, and return these words."""
        before = await self.prompt_ids(prefix)

        async def one(word: str) -> str | None:
            try:
                after = await self.prompt_ids(reply_text(prefix, word))
            except EndpointError as e:
                if e.status not in REJECTED:
                    raise
                return None
            if after[:-1] != before:
                return None
            self.ids[prefix, word] = after[-1:]
            return word

        return [word for word in await asyncio.gather(*(one(word) for word in words)) if word is not None]

    async def _check_continues(self, reply: str) -> None:
        """Raise `ItemError` if the server closes the assistant's turn, as the score would include the end token."""
        open_, closed = await self.prompt_ids(reply), await self.prompt_ids(reply, continue_final_message=False)
        if open_ == closed:
            # The server ignores the option, or the template closes no turn. A server that knows both of these options
            # rejects them together.
            try:
                await self.prompt_ids(reply, add_generation_prompt=True)
            except EndpointError as e:
                if e.status not in REJECTED:
                    raise
            else:
                raise ItemError("silently ignores continue_final_message")
        self._continues = True

    async def prompt_ids(self, prefix: str | None, **options: bool) -> tuple[int, ...]:
        """Return the token ids of the whole prompt with the beginning of a reply."""
        return (await self._prompt(prefix, **options)).prompt_ids or ()

    async def _prompt(self, prefix: str | None, **options: bool | int) -> Completion:
        """Return a reply that has the token ids of the prompt."""
        reply = await self._chat(PROBE, [], prefix, max_tokens=1, return_token_ids=True, **options)
        if reply.prompt_ids is None:
            raise ItemError("silently ignores return_token_ids")
        return reply

    def begun(self, prefix: str | None, text: str, tokens: int) -> str | None:
        """Return the reply as far as the first `tokens` tokens of `text`, None if their texts do not tell."""
        pieces, rest = self.pieces.get((prefix, text), ()), reply_text(prefix, text)
        if len(pieces) != len(self.ids[prefix, text]):
            return None
        for piece in reversed(pieces[tokens:]):
            # Some servers drop the blank with which a token begins. It belongs to that token, not to the one before.
            rest, end = rest.rstrip(" "), piece.strip(" ")
            if not end or not rest.endswith(end):
                return None
            rest = rest.removesuffix(end)
        return rest.rstrip(" ") or None


def reply_text(prefix: str | None, text: str) -> str:
    """Return the reply that a text makes, alone or after a prefix."""
    return text.strip() if prefix is None else f"{prefix} {text.strip()}"
