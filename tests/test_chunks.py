from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.chunks import plan_chunks

nodes = st.lists(
    st.sampled_from(["a.py::test_x[{}]", "a.py::test_y[{}]", "b.py::test_z", "b.py::test_gate"]), max_size=60
).map(lambda names: [name.format(i) for i, name in enumerate(names)])


@given(nodes, st.integers(1, 9))
def test_every_position_once_in_order_and_never_across_functions(ids: list[str], size: int) -> None:
    chunks = plan_chunks(ids, size)
    assert [i for chunk in chunks for i in chunk] == list(range(len(ids)))
    for chunk in chunks:
        assert len(chunk) <= size
        assert len({ids[i].partition("[")[0] for i in chunk}) == 1
        if "[" not in ids[chunk[0]]:
            assert len(chunk) == 1


def test_chunks_are_as_full_as_they_can_be() -> None:
    ids = [f"a.py::test_x[{i}]" for i in range(10)]
    assert [len(c) for c in plan_chunks(ids, 4)] == [4, 4, 2]
