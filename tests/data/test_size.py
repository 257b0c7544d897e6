"""Check that a benchmark of 85,000 items fits into memory, on a tenth of it."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

from .files import mos, read_one, write

ITEMS = 8_500


def test_an_item_takes_less_than_a_kilobyte(tmp_path: Path) -> None:
    mos(tmp_path, [{"img_path": f"{i:012}.jpg", "gt_score": f"{i % 97}.5 "} for i in range(ITEMS)])
    gc.collect()
    tracemalloc.start()
    try:
        dataset = read_one(tmp_path)
        gc.collect()
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(dataset.items) == ITEMS
    assert size / ITEMS < 1_000  # 85 MB for 85,000


def test_items_share_their_slices(tmp_path: Path) -> None:
    record = {"question": "?", "candidates": ["a", "b"], "correct_ans": "a", "type": 1, "concern": 2}
    write(tmp_path / "llvisionqa" / "llvisionqa_dev.json", [{**record, "img_path": f"{i}.jpg"} for i in range(9)])
    assert len({id(item.slices) for item in read_one(tmp_path).items}) == 1
