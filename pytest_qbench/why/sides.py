"""The two sides of a comparison: a model that is asked here, or records of an earlier run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pytest_qbench.data.identity import picture_hash
from pytest_qbench.engine.dispatch import ITEM_FAILURES, BatchBuilder, PromptSettings
from pytest_qbench.engine.grader import error_record, error_text
from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.metrics.fingerprint import Fingerprint, flat_entries
from pytest_qbench.models import given_prompts
from pytest_qbench.models.base import MatchesItems, Model, SupportsReplay
from pytest_qbench.prompts import Prompt
from pytest_qbench.records import Key, Record, Response
from pytest_qbench.runs.explanation import (
    BYTES,
    HEAD,
    IMAGE_TOKENS,
    LANGUAGE,
    PIXELS,
    PROJECTOR,
    PROMPT,
    TENSOR,
    VISION,
)  # fmt: skip
from pytest_qbench.scoring.score import DEFAULT, Scoring, score
from pytest_qbench.why.difference import relative_difference
from pytest_qbench.why.endpoint import endpoint_tokens
from pytest_qbench.why.trace import Noise, Trace, Traces

if TYPE_CHECKING:
    from pytest_qbench.why.local import LocalProbe

# Imports in functions: torch loads with a local model alone.

NOISE_ITEMS, COPIES = 6, 4
"""Items that measure the noise, and how many copies of an item share the other batch."""
INSIDE = (TENSOR, IMAGE_TOKENS, PROMPT, VISION, PROJECTOR, LANGUAGE, HEAD)
"""The stages inside a model."""


class Side(Protocol):
    """One side of a comparison."""

    @property
    def name(self) -> str:
        """Name for the user."""
        ...

    def trace(self, items: Sequence[Item], *, noise: bool) -> Traces:
        """Return what the side shows of the items. `noise`: whether to measure numerical noise as well."""
        ...


@dataclass
class LiveSide:
    """A model that is asked here. `load` loads it; it is closed after each trace."""

    name: str
    load: Callable[[], Model]
    prompts: PromptSettings
    scoring: Scoring = DEFAULT

    def trace(self, items: Sequence[Item], *, noise: bool) -> Traces:
        """Load the model, ask it each item on its own, and return the traces."""
        model = self.load()
        try:
            asked = _Asked(model, self.prompts, self.scoring)
            if isinstance(model, MatchesItems):
                model.expect(items)
            found: dict[Key, Trace] = {(item.task, item.id): asked.trace(item) for item in items}
            measured = asked.noise(items, found) if noise else Noise()
            probe = asked.probe
            conditions = {"model": model.describe(), **(probe.conditions() if probe else {})}
            return Traces(
                self.name, found,
                stages=probe.recorder.stages if probe else {},
                weights=probe.recorder.weights() if probe else {},
                conditions={key: str(value) for key, value in flat_entries(conditions).items()},
                unseen=asked.unseen, noise=measured,
            )  # fmt: skip
        finally:
            model.close()


@dataclass
class _Asked:
    """A loaded model that is asked one item at a time."""

    model: Model
    prompts: PromptSettings
    scoring: Scoring
    probe: LocalProbe | None = field(init=False)
    unseen: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.probe = _probe(self.model)
        if self.probe is None:
            kind = "recorded outputs" if isinstance(self.model, SupportsReplay) else "a model without local weights"
            self.unseen = dict.fromkeys(INSIDE, f"{self.model.name} is {kind}")

    def trace(self, item: Item) -> Trace:
        """Return the trace of one item."""
        with self._recording() as parts:
            response, given = self._query([item])
        record = self._record(item, response[0])
        shown: dict[str, Any] = {}
        if given and self.model.needs_images:
            from pytest_qbench.why.local import thinned_pixels

            images = list(given[0].images)
            shown = {"pixels": thinned_pixels(images), "sizes": tuple(image.size for image in images)}
        if self.probe is not None and given:
            shown["tensors"], shown["shapes"], shown["tokens"] = self.probe.tensors(given[0])
        elif given and (tokens := endpoint_tokens(self.model, given[0], self.unseen)) is not None:
            shown["tokens"] = tokens
        return Trace(item, record, content=picture_hash(item), parts=parts, **shown)

    def noise(self, items: Sequence[Item], found: Mapping[Key, Trace]) -> Noise:
        """Compare some items with a second answer, and with the answer in a batch of copies."""
        parts: dict[str, float] = {}
        logprobs = scores = 0.0
        texts = 0
        chosen = items[:: max(1, math.ceil(len(items) / NOISE_ITEMS))]
        for item in chosen:
            first = found[item.task, item.id]
            changed = False
            for copies in (1, COPIES):
                with self._recording() as outputs:
                    responses, _ = self._query([item] * copies)
                record = self._record(item, responses[0])
                for name, value in outputs.items():
                    one = first.parts.get(name)
                    # A part that takes images one by one has as many tokens in each call as without copies.
                    if one is not None and len(value) in (len(one), copies * len(one)):
                        parts[name] = max(parts.get(name, 0.0), relative_difference(one, value[: len(one)]))
                logprobs = max(logprobs, logprob_difference(first.record, record))
                scores = max(scores, abs((first.record.score or 0.0) - (record.score or 0.0)))
                changed |= first.record.response != record.response
            texts += changed
        return Noise(parts, logprobs, scores, texts, len(chosen))

    @contextmanager
    def _recording(self) -> Iterator[dict[str, Any]]:
        if self.probe is None:
            yield {}
        else:
            with self.probe.recorder.recording() as found:
                yield found

    def _query(self, items: Sequence[Item]) -> tuple[Sequence[Response | ItemError], list[Prompt]]:
        if isinstance(self.model, SupportsReplay):
            return self.model.recall(items), []
        build = BatchBuilder(self.prompts, vision=self.model.needs_images)
        batch = build(range(len(items)), items, False)
        with given_prompts.collect() as given:
            try:
                return self.prompts.query(self.model, items, batch.prompts), given
            except ITEM_FAILURES as e:
                return [ItemError(error_text(e))] * len(items), given

    def _record(self, item: Item, response: Response | ItemError) -> Record:
        if isinstance(response, ItemError):
            return error_record(item, response)
        try:
            return score(item, response, self.scoring)
        except ItemError as e:
            return error_record(item, e)


def _probe(model: Model) -> LocalProbe | None:
    """Return the probe of a local model, None for one without weights here."""
    import sys

    if "torch" not in sys.modules:  # nothing with weights is loaded
        return None
    from pytest_qbench.why.local import LocalProbe, network_of

    inner = network_of(model)
    return None if inner is None else LocalProbe(inner)


@dataclass
class RecordedSide:
    """The records of a baseline or a finished run. `pictures` are the hashes of the image files by task and item id."""

    name: str
    records: Mapping[Key, Record]
    fingerprint: Fingerprint
    pictures: Mapping[Key, str | None] = field(default_factory=dict)

    def trace(self, items: Sequence[Item], *, noise: bool) -> Traces:
        """Return the recorded replies and conditions."""
        found: dict[Key, Trace] = {}
        for item in items:
            key = item.task, item.id
            record = self.records[key]
            found[key] = Trace(item, record, content=record.picture or self.pictures.get(key))
        conditions = {key: str(value) for key, value in flat_entries(self.fingerprint.to_json()).items()}
        unseen = dict.fromkeys((PIXELS, *INSIDE), f"{self.name} is recorded: it has replies and conditions alone")
        if not any(trace.content for trace in found.values()):
            unseen[BYTES] = f"{self.name} keeps no hash of these images"
        return Traces(self.name, found, conditions=conditions, unseen=unseen, is_live=False)


def logprob_difference(a: Record, b: Record) -> float:
    """Return the largest difference of a log-probability that both records have, 0 without one."""
    shared = (a.logprobs or {}).keys() & (b.logprobs or {}).keys()
    return max((abs((a.logprobs or {})[key] - (b.logprobs or {})[key]) for key in shared), default=0.0)
