"""Remote models: batches are sent ahead, and a batch is halved if its process dies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from pytest_qbench.errors import ItemError
from pytest_qbench.items import Item
from pytest_qbench.models.errors import OutOfMemoryError, WorkerDied
from pytest_qbench.prompts import Prompt
from pytest_qbench.records import Response
from tests.engine.test_engine import Picture, Scripted, engine, item


@dataclass
class Remote(Scripted):
    """A remote model that fails for batches of more than `fits` items and for items in `poison`."""

    ahead: int = 5
    fits: int = 100
    largest_batch: int | None = None
    machine: str = "elsewhere"
    report: Mapping[str, Any] = field(default_factory=dict)
    sent: list[list[str]] = field(default_factory=list)
    received: list[list[str]] = field(default_factory=list)

    def send(self, items: Sequence[Item], prompts: Sequence[Prompt], shared: bool) -> Sequence[Prompt]:
        self.sent.append([i.id for i in items])
        return prompts

    def receive(self, items: Sequence[Item], prompts: Sequence[Prompt]) -> Sequence[Response | ItemError]:
        self.received.append([i.id for i in items])
        if len(items) > self.fits:
            raise OutOfMemoryError("out of memory")
        if any(i.id in self.poison for i in items):
            raise WorkerDied("it died")
        return [Response(logprobs={"good": -1.0, "poor": -2.0}) for _ in items]


def scored(*numbers: int) -> list[Item]:
    return [item(i, "assessment", Picture(f"{i}.png")) for i in numbers]


def test_batches_of_the_next_calls_are_sent_ahead_up_to_the_limit() -> None:
    model = Remote(ahead=5)
    measuring = engine(model, batch_size=2)
    calls = [scored(*range(4 * k, 4 * k + 4)) for k in range(6)]
    for k, call in enumerate(calls):
        measuring.measure(call, next_calls=calls[k + 1 :])
        assert len(model.sent) == min(12, 2 * (k + 1) + 5)  # the batches of the calls so far, and the limit
    assert model.received == model.sent
    assert len(model.sent) == 12  # no batch was sent twice


def test_only_a_batch_whose_process_died_is_halved() -> None:
    model = Remote(poison=("d/assessment/5",))
    measuring = engine(model, batch_size=4)
    records = measuring.measure(scored(*range(12)))
    assert [r.error for r in records if r.status == "error"] == ["WorkerDied: it died"]
    assert [len(batch) for batch in model.received] == [4, 4, 2, 1, 1, 2, 4]
    assert measuring.batch_size == 4


def test_out_of_memory_in_a_remote_model_reduces_the_batch_size_for_good() -> None:
    model = Remote(fits=2)
    measuring = engine(model, batch_size=4)
    records = measuring.measure(scored(*range(12)))
    assert {r.status for r in records} == {"measured"}
    assert [len(batch) for batch in model.received] == [4, 2, 2, 2, 2, 2, 2]
    assert measuring.batch_size == 2


@pytest.mark.parametrize("named, expected", [(None, 16), (64, 64)])
def test_the_first_batch_size_is_that_of_the_remote_model(named: int | None, expected: int) -> None:
    assert engine(Remote(largest_batch=named), batch_size=None).batch_size == expected
