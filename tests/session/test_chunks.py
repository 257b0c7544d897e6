from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.session.chunks import TAIL, plan_chunks

nodes = st.lists(
    st.sampled_from(["a.py::test_x[{}]", "a.py::test_y[{}]", "b.py::test_z", "b.py::test_gate"]), max_size=60
).map(lambda names: [name.format(i) for i, name in enumerate(names)])


@given(nodes, st.integers(1, 9), st.integers(1, 5))
def test_chunks_contain_every_position_once_and_never_cross_functions(ids: list[str], batch: int, batches: int) -> None:
    chunks = plan_chunks(ids, batch * batches, batch)
    assert [i for chunk in chunks for i in chunk] == list(range(len(ids)))
    for chunk in chunks:
        assert len(chunk) <= batch * batches
        assert len({ids[i].partition("[")[0] for i in chunk}) == 1
        if "[" not in ids[chunk[0]]:
            assert len(chunk) == 1


@given(st.integers(1, 3000), st.integers(1, 16), st.integers(1, 8))
def test_largest_first_in_whole_batches_with_a_short_tail(items: int, batch: int, batches: int) -> None:
    sizes = [len(chunk) for chunk in plan_chunks([f"a.py::test_x[{i}]" for i in range(items)], batch * batches, batch)]
    assert sizes == sorted(sizes, reverse=True)
    assert all(size % batch == 0 for size in sizes[:-1])
    assert sizes[0] == min(items, batch * batches, batch * -(-items // (TAIL * batch)))
    left = items
    for size in sizes:  # at the end, no worker has more than this part of the rest while others are idle
        assert size <= max(batch, left / TAIL + batch)
        left -= size


def test_chunks_of_a_large_run() -> None:
    sizes = [len(c) for c in plan_chunks([f"a.py::test_x[{i}]" for i in range(300)], 64, 16)]
    assert sizes == [48, 32, 32, 32, 32, 16, 16, 16, 16, 16, 16, 16, 12]
