"""The device of each process, on hypothetical machines."""

from __future__ import annotations

import os

import pytest
import torch

from pytest_qbench.errors import ModelError
from pytest_qbench.models import load_model, parse_spec
from pytest_qbench.models.transformers.devices import ALONE, Accelerators, Worker, choose_device
from pytest_qbench.models.transformers.loading import Deterministic


@pytest.mark.parametrize("wanted, machine, worker, device", [
    ("auto", Accelerators(), ALONE, "cpu"),
    ("auto", Accelerators(mps=True), ALONE, "mps"),
    ("auto", Accelerators(gpus=4, mps=True), ALONE, "cuda:0"),
    ("auto", Accelerators(gpus=4), Worker(3, 4), "cuda:3"),
    ("cuda", Accelerators(gpus=4), Worker(1, 2), "cuda:1"),
    ("cuda:2", Accelerators(gpus=4), ALONE, "cuda:2"),
    ("cpu", Accelerators(gpus=1), Worker(7, 8), "cpu"),
    ("auto", Accelerators(), Worker(7, 8), "cpu"),
])  # fmt: skip
def test_each_worker_gets_its_device(wanted: str, machine: Accelerators, worker: Worker, device: str) -> None:
    assert choose_device(wanted, machine, worker, share=False) == device


@pytest.mark.parametrize("wanted, machine, workers, message, shared", [
    ("auto", Accelerators(gpus=2), 3, "3 workers for 2 cuda devices: use -n 2, or .*share_gpu=true", "cuda:0"),
    ("cuda:1", Accelerators(gpus=2), 2, "2 workers for 1 cuda device: use -n 1", "cuda:1"),
    ("mps", Accelerators(mps=True), 2, "2 workers for 1 mps device", "mps"),
])  # fmt: skip
def test_more_workers_than_devices_are_an_error_unless_they_share(
    wanted: str, machine: Accelerators, workers: int, message: str, shared: str
) -> None:
    last = Worker(workers - 1, workers)
    with pytest.raises(ModelError, match=message):
        choose_device(wanted, machine, last, share=False)
    assert choose_device(wanted, machine, last, share=True) == shared


@pytest.mark.parametrize("wanted, message", [
    ("cuda", "device=cuda: this machine has 0 CUDA devices"),
    ("cuda:0", "device=cuda:0: this machine has 0 CUDA devices"),
    ("mps", "device=mps is not available"),
])  # fmt: skip
def test_a_missing_device_is_an_error(wanted: str, message: str) -> None:
    for share in (False, True):
        with pytest.raises(ModelError, match=message):
            choose_device(wanted, Accelerators(), ALONE, share=share)


def test_the_loader_uses_the_device_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ModelError, match="3 workers for 2 cuda devices"):
        load_model(parse_spec("tiny"), {}, Worker(0, 3))


def test_deterministic_algorithms_are_enabled_on_a_gpu_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    Deterministic(torch.device("cpu"))
    assert not torch.are_deterministic_algorithms_enabled()
    on = Deterministic(torch.device("cuda"))
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    on.undo()
    on.undo()
    assert not torch.are_deterministic_algorithms_enabled()
