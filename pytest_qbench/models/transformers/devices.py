"""Choose the device of a process. The machine's devices are an argument, so that tests can name any machine."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_qbench.errors import ModelError


@dataclass(frozen=True, slots=True)
class Worker:
    """One of several processes on this machine."""

    index: int = 0
    count: int = 1


ALONE = Worker()


@dataclass(frozen=True, slots=True)
class Accelerators:
    """The devices of a machine beside the CPU."""

    gpus: int = 0
    mps: bool = False


def choose_device(wanted: str, accelerators: Accelerators, worker: Worker, *, share: bool) -> str:
    """Return `cpu`, `mps` or `cuda:N` for the user's `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.

    Worker i takes GPU i. With `share`, more workers than devices share them in turn. Raises `ModelError` for a missing
    device, and for more workers than devices without `share`.
    """
    kind, _, number = wanted.partition(":")
    if kind == "auto":
        kind = "cuda" if accelerators.gpus else "mps" if accelerators.mps else "cpu"
    if kind == "cpu":
        return "cpu"
    if kind == "mps" and not accelerators.mps:
        raise ModelError("device=mps is not available on this machine; use device=auto")
    if kind == "cuda" and (int(number) if number else 0) >= accelerators.gpus:
        raise ModelError(f"device={wanted}: this machine has {accelerators.gpus} CUDA devices; use device=auto")
    devices = accelerators.gpus if kind == "cuda" and not number else 1
    if worker.count > devices and not share:
        raise ModelError(
            f"{worker.count} workers for {devices} {kind} device{'s' * (devices > 1)}: use -n {devices}, or let them "
            "share with --qbench-model-arg=share_gpu=true"
        )
    if kind == "mps":
        return "mps"
    return f"cuda:{number or worker.index % accelerators.gpus}"
