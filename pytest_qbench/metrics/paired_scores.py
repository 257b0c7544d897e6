"""Compare the correlations of two lists of records with their MOS, in pairs."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_qbench.records import Record
from pytest_qbench.stats.correlation import Kind
from pytest_qbench.stats.paired import Paired
from pytest_qbench.stats.paired_correlation import paired_correlation
from pytest_qbench.stats.resampling import Undefined


def paired_scores(pairs: Sequence[tuple[Record, Record]], kind: Kind, alpha: float, seed: int) -> Paired:
    """Return the paired comparison of candidate and baseline records of the same images (`paired_correlation`).

    Raises `Undefined` for a record without score or MOS, and where a correlation is undefined.
    """
    new, old = ([_known(record.score, record, "score") for record in side] for side in zip(*pairs, strict=True))
    mos = [_known(record.target, record, "MOS") for record, _ in pairs]
    return paired_correlation(new, old, mos, [record.group for record, _ in pairs], kind, alpha, seed)


def _known(value: float | str | None, record: Record, name: str) -> float:
    if value is None:
        raise Undefined(f"{record.item}: no {name}")
    return float(value)
