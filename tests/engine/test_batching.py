"""Batches group items by task, and images that several tasks share."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.engine.batching import plan_batches
from pytest_qbench.items import Item


@dataclass(frozen=True)
class Named:
    name: str

    def read(self) -> bytes:
        raise AssertionError("planning reads nothing")

    def missing(self) -> bool:
        return False


def item(task: str, image: int | None, question: str = "") -> Item:
    images = () if image is None else (Named(str(image)),)
    return Item(f"{task}/{image}/{question}", task, "d", None, "g", images, question)  # type: ignore[arg-type]


def length(item: Item) -> int:
    return len(item.question or "")


items = st.lists(
    st.builds(item, st.sampled_from(["perception", "assessment"]), st.none() | st.integers(0, 6), st.text("?", max_size=4)),
    max_size=60,
)  # fmt: skip


@given(items, st.integers(1, 9))
def test_each_item_is_in_one_batch_of_its_task(items: list[Item], size: int) -> None:
    plan = plan_batches(items, size, length)
    assert sorted(i for batch, _ in plan for i in batch) == list(range(len(items)))
    for batch, shared in plan:
        assert 0 < len(batch) <= size
        assert len({items[i].task for i in batch}) == 1
        if shared:
            images = [items[i].images for i in batch]
            assert len(set(images)) == len(images)
            assert 2 * len(images) >= size
    # Batches on the same images are neighbours, so that the features of an image can be dropped soon.
    shown = [tuple(items[i].images for i in batch) for batch, shared in plan if shared]
    assert all(shown.index(s) + shown.count(s) > i for i, s in enumerate(shown))


def test_a_question_and_a_rating_on_each_image_share_it() -> None:
    asked = [item("perception", i, "?" * (i % 3)) for i in range(10)] + [item("assessment", i) for i in range(10)]
    plan = plan_batches(asked, 4, length)
    assert [(asked[batch[0]].task[0], len(batch), shared) for batch, shared in plan] == [
        ("a", 4, True), ("p", 4, True), ("a", 4, True), ("p", 4, True), ("a", 2, True), ("p", 2, True),
    ]  # fmt: skip
    for (ratings, _), (questions, _) in zip(plan[::2], plan[1::2], strict=True):
        assert [asked[i].images for i in ratings] == [asked[i].images for i in questions]


def test_items_without_shared_images_are_sorted_by_length_into_full_batches() -> None:
    asked = [item("perception", i, "?" * (7 * i % 10)) for i in range(10)]
    plan = plan_batches(asked, 4, length)
    assert [len(batch) for batch, _ in plan] == [4, 4, 2]
    lengths = [length(asked[i]) for batch, _ in plan for i in batch]
    assert lengths == sorted(lengths)


def test_fewer_images_than_half_a_batch_form_no_block() -> None:
    asked = [item("perception", i) for i in range(10)] + [item("assessment", 0)]
    assert [(len(batch), shared) for batch, shared in plan_batches(asked, 16, length)] == [(1, False), (10, False)]
