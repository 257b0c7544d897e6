from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.session.chunks import SHARE, TAIL, plan_chunks, plan_shares

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


@given(nodes, st.integers(1, 9), st.integers(1, 5), st.integers(1, 9), st.integers(1, 4))
def test_shares_are_whole_chunks_of_one_function(
    ids: list[str], batch: int, batches: int, workers: int, most: int
) -> None:
    chunks = plan_chunks(ids, batch * batches, batch)
    shares = plan_shares(ids, batch * batches, batch, workers=workers, chunks=most)
    left = list(chunks)
    for share in shares:
        assert len({ids[i].partition("[")[0] for i in share}) == 1
        taken = []
        while sum(map(len, taken)) < len(share):
            taken.append(left.pop(0))
        assert share == [i for chunk in taken for i in chunk]
        assert len(taken) <= most
    assert not left


@given(st.integers(1, 5000), st.integers(1, 16), st.integers(1, 8), st.integers(1, 12))
def test_no_worker_has_a_large_part_of_the_rest(items: int, batch: int, batches: int, workers: int) -> None:
    ids = [f"a.py::test_x[{i}]" for i in range(items)]
    chunks = {chunk[0]: len(chunk) for chunk in plan_chunks(ids, batch * batches, batch)}
    left = items
    for share in plan_shares(ids, batch * batches, batch, workers=workers):
        assert len(share) == chunks[share[0]] or len(share) <= min(left / TAIL, left / (2 * workers))
        left -= len(share)


def test_shares_of_a_large_run() -> None:
    sizes = [len(share) for share in plan_shares([f"a.py::test_x[{i}]" for i in range(20_000)], 64, 16, workers=2)]
    assert sizes[:12] == [SHARE * 64] * 12
    assert len(sizes) < 60
