"""How many replicas a cluster takes, and what each gets."""

from __future__ import annotations

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.replicas.cluster import Size, sized

SMALL, LARGE, GPUS = {"CPU": 4.0}, {"CPU": 64.0}, {"CPU": 32.0, "GPU": 8.0}


@pytest.mark.parametrize(
    "nodes, gpus, expected",
    [
        ([LARGE], True, Size(1, 64, 0)),
        ([LARGE, SMALL], True, Size(2, 4, 0)),
        ([{"CPU": 0.0}, LARGE], True, Size(1, 64, 0)),  # a head that computes nothing
        ([GPUS, LARGE], True, Size(8, 4, 1)),
        ([GPUS, {"CPU": 2.0, "GPU": 4.0}], True, Size(12, 0, 1)),
        ([GPUS, LARGE], False, Size(2, 32, 0)),
    ],
)
def test_one_replica_a_gpu_or_else_a_node(nodes: list[dict[str, float]], gpus: bool, expected: Size) -> None:
    assert sized(nodes, gpus=gpus) == expected


def test_a_cluster_without_anything_to_compute_on_is_refused() -> None:
    with pytest.raises(UsageError, match="no node of the cluster has a CPU or a GPU"):
        sized([{"CPU": 0.0}], gpus=True)
