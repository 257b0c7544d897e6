"""Import torch so that its waiting threads leave the cores to others.

torch for Linux brings libgomp, whose threads wait for each other in a loop of 300,000 rounds, several milliseconds. On
a machine with other work this loop keeps the thread that is waited for from running.
"""

from __future__ import annotations

import os

SPINS = 300
"""Rounds of a waiting thread before it sleeps: some microseconds (`benchmarks/neighbour.py`)."""
_OF_USER = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def import_torch() -> None:
    """Import torch; its threads spin for `SPINS` rounds, unless the user has set their number or OpenMP's policy.

    libgomp reads the variable once, while it is loaded. So it is removed again and reaches no process that this one
    starts. Without effect if torch is loaded already.
    """
    is_ours = not any(name in os.environ for name in _OF_USER)
    if is_ours:
        os.environ["GOMP_SPINCOUNT"] = str(SPINS)
    try:
        import torch  # noqa: F401
    finally:
        if is_ours:
            del os.environ["GOMP_SPINCOUNT"]
