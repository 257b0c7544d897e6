"""Find quality databases whose scores may be reversed, such as a DMOS, where lower values mean better quality."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pytest_qbench.metrics.metric import Metric
from pytest_qbench.metrics.specs import CORRELATIONS


def reversed_scales(metrics: Sequence[Metric], stated: Collection[str] = ()) -> list[str]:
    """Return a sentence for each database whose correlation interval lies entirely below zero.

    Databases in `stated` are left out, because the user has stated the direction of their scores.
    """
    found: dict[str, str] = {}
    for m in metrics:
        if m.name not in CORRELATIONS or m.dataset is None or m.slice is not None or m.dataset in stated:
            continue
        if m.value is not None and m.ci is not None and m.ci[1] < 0:
            name = m.name.partition(".")[2].upper()
            found.setdefault(m.dataset, (
                f"{m.dataset}: {name} {m.value:.4f} in [{m.ci[0]:.4f}, {m.ci[1]:.4f}] is below zero: the model's "
                f"scores fall where those of the data rise; write higher_is_better: false in datasets.yaml "
                "if lower is better there, else true"
            ))  # fmt: skip
    return list(found.values())
