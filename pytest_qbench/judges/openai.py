"""A grading model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_qbench.endpoints.address import parse_address
from pytest_qbench.endpoints.client import EndpointError
from pytest_qbench.endpoints.completion import Choice
from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.endpoints.messages import messages, with_extra
from pytest_qbench.errors import ItemError
from pytest_qbench.judges.parsing import Unreadable, answer_probabilities, read_vote
from pytest_qbench.judges.rubric import GradingPrompt
from pytest_qbench.models.openai import parse_price
from pytest_qbench.models.openai_words import TOP

MAX_TOKENS = 16


class EndpointGradingModel:
    """Samples verdicts from an endpoint, with one request per prompt, or per sample if the server ignores ``n``."""

    def __init__(self, target: str, args: Mapping[str, str], endpoints: Endpoints) -> None:
        """Create the client without sending anything. `args` are the user's judge arguments."""
        self._address = parse_address(target)
        self.name = f"openai:{self._address.model}"
        self._endpoints, self._args = endpoints, dict(args)
        self._extra: dict[str, Any] = json.loads(args.get("extra_body", "{}"))
        self._client = endpoints.connect(
            self._address, "judge", price=parse_price(args.get("price")), revision=args.get("revision")
        )
        self.usage = self._client.usage
        self._takes_n: bool | None = None
        self._finding_out = threading.Lock()

    def describe(self) -> dict[str, Any]:
        """Return the model and its sampling parameters, without the address, which does not affect verdicts."""
        given: dict[str, Any] = {key: self._args[key] for key in ("revision", "max_new_tokens") if key in self._args}
        return {"model": self._address.model, "temperature": self._temperature, **given, "extra_body": self._extra}

    def sample(self, prompts: Sequence[GradingPrompt], rounds: int) -> list[list[int | Unreadable] | ItemError]:
        """Return `rounds` verdicts on each prompt, sampled at the judge's temperature."""

        async def one(prompt: GradingPrompt) -> list[int | Unreadable]:
            replies = await self._replies(prompt, rounds)
            return [read_vote(reply.text, prompt.answers, prompt.label, cut=reply.cut) for reply in replies]

        # The first prompt alone shows whether the server supports `n`, so later requests are the same in every run, as
        # the cache requires.
        first: list[list[int | Unreadable] | ItemError] = []
        if self._takes_n is None:
            with self._finding_out:  # other threads wait for the answer
                if self._takes_n is None:
                    first = self._endpoints.each(prompts[:1], one)
        return first + self._endpoints.each(prompts[len(first) :], one)

    def probabilities(self, prompts: Sequence[GradingPrompt]) -> list[list[float] | ItemError | Unreadable]:
        """Return the probability of each answer as the first token. Each prompt takes one request at temperature 1."""

        async def one(prompt: GradingPrompt) -> list[float] | Unreadable:
            body = {"max_tokens": 1, "temperature": 1, "logprobs": True, "top_logprobs": TOP}
            reply = await self._request(prompt, body)
            if reply.choices[0].top is None:
                raise ItemError(f"{self.name}: silently ignores logprobs; use --qbench-judge-arg=mode=rounds")
            return answer_probabilities(reply.choices[0].top, prompt.answers)

        return self._endpoints.each(prompts, one)

    @property
    def _temperature(self) -> float:
        return float(self._args.get("temperature", "1"))

    async def _replies(self, prompt: GradingPrompt, rounds: int) -> list[Choice]:
        limit = int(self._args.get("max_new_tokens", MAX_TOKENS))
        body: dict[str, Any] = {"max_tokens": limit, "temperature": self._temperature}
        replies: list[Choice] = []
        if rounds > 1 and self._takes_n is not False:
            try:
                reply = await self._request(prompt, {**body, "n": rounds})
                replies = list(reply.choices[:rounds])
            except EndpointError as e:
                if self._takes_n or e.status not in (400, 422):
                    raise  # `n` is not the cause
            self._takes_n = len(replies) == rounds
        more = (self._request(prompt, body, sample=i) for i in range(len(replies), rounds))
        return replies + [reply.choices[0] for reply in await asyncio.gather(*more)]

    async def _request(self, prompt: GradingPrompt, body: Mapping[str, Any], sample: int = 0) -> Any:
        turns = messages([prompt.text], system=prompt.system)
        return await self._client.chat(with_extra({"messages": turns, **body}, self._extra), sample=sample)
