"""The number of replicas of a cluster, and the resources of each."""

from __future__ import annotations

import pytest

from pytest_qbench.errors import UsageError
from pytest_qbench.replicas.cluster import PoolSize, pool_size

SMALL, LARGE, GPUS = {"CPU": 4.0}, {"CPU": 64.0}, {"CPU": 32.0, "GPU": 8.0}


@pytest.mark.parametrize(
    "nodes, gpus, expected",
    [
        ([LARGE], True, PoolSize(1, 64, 0)),
        ([LARGE, SMALL], True, PoolSize(2, 4, 0)),
        ([{"CPU": 0.0}, LARGE], True, PoolSize(1, 64, 0)),  # a head node without CPUs
        ([GPUS, LARGE], True, PoolSize(8, 4, 1)),
        ([GPUS, {"CPU": 2.0, "GPU": 4.0}], True, PoolSize(12, 0, 1)),
        ([GPUS, LARGE], False, PoolSize(2, 32, 0)),
    ],
)
def test_each_gpu_gets_a_replica_or_without_gpus_each_node(
    nodes: list[dict[str, float]], gpus: bool, expected: PoolSize
) -> None:
    assert pool_size(nodes, gpus=gpus) == expected


def test_a_cluster_without_cpus_and_gpus_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no node of the cluster has a CPU or GPU"):
        pool_size([{"CPU": 0.0}], gpus=True)
