"""Which device a process computes on. Pure: what the machine has is given."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_qbench.errors import ModelError


@dataclass(frozen=True, slots=True)
class Worker:
    """Which of several processes on this machine is asking."""

    index: int = 0
    count: int = 1


ALONE = Worker()


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to compute on beside the CPU."""

    gpus: int = 0
    mps: bool = False


def place(wanted: str, machine: Machine, worker: Worker, *, share: bool) -> str:
    """Return `cpu`, `mps` or `cuda:N` for what the user wants: `auto`, `cpu`, `mps`, `cuda` or `cuda:N`.

    Worker i takes GPU i. More workers than devices are refused unless they may `share`, then they go round.
    Raises `ModelError` for a device that is not there.
    """
    kind, _, number = wanted.partition(":")
    if kind == "auto":
        kind = "cuda" if machine.gpus else "mps" if machine.mps else "cpu"
    if kind == "cpu":
        return "cpu"
    if kind == "mps" and not machine.mps:
        raise ModelError("device=mps is not available on this machine; use device=auto")
    if kind == "cuda" and (int(number) if number else 0) >= machine.gpus:
        raise ModelError(f"device={wanted}: this machine has {machine.gpus} CUDA devices; use device=auto")
    devices = machine.gpus if kind == "cuda" and not number else 1
    if worker.count > devices and not share:
        raise ModelError(
            f"{worker.count} workers for {devices} {kind} device{'s' * (devices > 1)}: use -n {devices}, or let them "
            "share with --qbench-model-arg=share_gpu=true"
        )
    if kind == "mps":
        return "mps"
    return f"cuda:{number or worker.index % machine.gpus}"
