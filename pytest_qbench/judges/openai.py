"""A judge behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_qbench.endpoints.address import parse_address
from pytest_qbench.endpoints.client import EndpointError
from pytest_qbench.endpoints.event_loop import Endpoints
from pytest_qbench.endpoints.messages import merged, messages
from pytest_qbench.errors import ItemError
from pytest_qbench.judges.parsing import read_vote, shares
from pytest_qbench.judges.rubric import Ballot
from pytest_qbench.models.openai import TOP, parse_price

MAX_TOKENS = 16


class EndpointVoter:
    """Votes of a model behind an endpoint: one request with ``n`` a ballot; one a vote where the server ignores it."""

    def __init__(self, target: str, args: Mapping[str, str], endpoints: Endpoints) -> None:
        """Make the client; nothing is sent yet. `args` are the user's judge arguments."""
        self._address = parse_address(target)
        self.name = f"openai:{self._address.model}"
        self._endpoints, self._args = endpoints, dict(args)
        self._extra: dict[str, Any] = json.loads(args.get("extra_body", "{}"))
        self._client = endpoints.connect(
            self._address, "judge", price=parse_price(args.get("price")), revision=args.get("revision")
        )
        self.usage = self._client.usage
        self._takes_n: bool | None = None

    def describe(self) -> dict[str, Any]:
        """Return the model and what shapes its votes; where it is served says nothing of it."""
        told: dict[str, Any] = {key: self._args[key] for key in ("revision", "max_new_tokens") if key in self._args}
        return {"model": self._address.model, "temperature": self._temperature, **told, "extra_body": self._extra}

    def vote(self, ballots: Sequence[Ballot], rounds: int) -> list[list[int | None] | ItemError]:
        """Return `rounds` votes on each ballot, drawn at the judge's temperature."""

        async def one(ballot: Ballot) -> list[int | None]:
            texts = await self._replies(ballot, rounds)
            return [read_vote(text, ballot.answers, ballot.label) for text in texts]

        # The first ballot alone finds out whether the server takes `n`: always the same requests, which a cache needs.
        first = self._endpoints.each(ballots[:1], one) if self._takes_n is None else []
        return first + self._endpoints.each(ballots[len(first) :], one)

    def probabilities(self, ballots: Sequence[Ballot]) -> list[list[float] | ItemError | None]:
        """Return the probability of each answer as the first token; one request a ballot, at temperature 1."""

        async def one(ballot: Ballot) -> list[float] | None:
            body = {"max_tokens": 1, "temperature": 1, "logprobs": True, "top_logprobs": TOP}
            reply = await self._ask(ballot, body)
            if reply.choices[0].top is None:
                raise ItemError(f"{self.name}: drops logprobs without a word; use --qbench-judge-arg=mode=rounds")
            return shares(reply.choices[0].top, ballot.answers)

        return self._endpoints.each(ballots, one)

    @property
    def _temperature(self) -> float:
        return float(self._args.get("temperature", "1"))

    async def _replies(self, ballot: Ballot, rounds: int) -> list[str]:
        limit = int(self._args.get("max_new_tokens", MAX_TOKENS))
        body: dict[str, Any] = {"max_tokens": limit, "temperature": self._temperature}
        texts: list[str] = []
        if rounds > 1 and self._takes_n is not False:
            try:
                reply = await self._ask(ballot, {**body, "n": rounds})
                texts = [choice.text for choice in reply.choices[:rounds]]
            except EndpointError as e:
                if self._takes_n or e.status not in (400, 422):
                    raise  # no matter of `n`
            self._takes_n = len(texts) == rounds
        more = (self._ask(ballot, body, sample=i) for i in range(len(texts), rounds))
        return texts + [reply.choices[0].text for reply in await asyncio.gather(*more)]

    async def _ask(self, ballot: Ballot, body: Mapping[str, Any], sample: int = 0) -> Any:
        whole = merged({"messages": messages(ballot.text), **body}, self._extra)
        return await self._client.chat(whole, sample=sample)
