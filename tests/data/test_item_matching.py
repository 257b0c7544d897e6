from __future__ import annotations

from dataclasses import replace
from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from pytest_qbench.data.identity import Identity, hash_question, identity_of, picture_hash
from pytest_qbench.data.item_matching import Matching, match
from pytest_qbench.items import FileImage, Item


def one(label: str, **known: object) -> Identity:
    return Identity(label, **known)  # type: ignore[arg-type]


def pairs(wanted: list[Identity], stored: list[Identity]) -> dict[str, str]:
    return {wanted[w].label: stored[s].label for w, s in match(wanted, stored).pairs.items()}


def reasons(matching: Matching) -> list[str]:
    return [str(one) for one in matching.ambiguous.values()]


def test_equal_ids_match_without_other_properties() -> None:
    found = match([one("w1", ids=("1",)), one("w2", ids=("2",))], [one("s2", ids=("2",)), one("s1", ids=("1",))])
    assert (found.pairs, found.counts()) == ({0: 1, 1: 0}, {"id": 2})


def test_an_edited_text_under_an_id_is_changed_and_not_matched() -> None:
    found = match([one("w", ids=("1",), question="Old?")], [one("s", ids=("1",), question="New?")])
    assert (found.pairs, found.changed) == ({}, {0: 0})


def test_ids_that_number_the_items_in_another_order_are_not_followed() -> None:
    """Two neighbours have the same text: the shifted id agrees with one of them by chance."""
    texts = ["Is it sharp?", "Is it sharp?", "How bright?", "Any noise?"]
    wanted = [one(f"w{i}", ids=(str(i),), question=q, images=(f"{i}.jpg",)) for i, q in enumerate(texts)]
    stored = [one(f"s{i}", ids=(str(i + 1),), question=q, images=(f"{i}.jpg",)) for i, q in enumerate(texts)]
    assert pairs(wanted, stored) == {f"w{i}": f"s{i}" for i in range(4)}
    bare = [replace(each, images=()) for each in stored]
    found = match(wanted, bare)
    assert found.counts() == {"question": 2}
    assert reasons(found) == ["w0 may be s0 or s1", "w1 may be s0 or s1"]


def test_a_renamed_image_does_not_break_the_match_by_id() -> None:
    found = match([one("w", ids=("1",), images=("a.jpg",))], [one("s", ids=("1",), images=("b.jpg",))])
    assert found.counts() == {"id": 1}


def test_names_match_with_any_folders_before_them() -> None:
    for name in ("koniq/7.jpg", "/data/koniq/7.jpg", "C:\\iqa\\koniq\\7.jpg"):
        assert pairs([one("w", images=("7.jpg",))], [one("s", images=(name,))]) == {"w": "s"}


def test_the_longest_common_end_of_two_names_wins() -> None:
    wanted = [one("a", images=("a/1.jpg",)), one("b", images=("b/1.jpg",)), one("c", images=("1.jpg",))]
    stored = [one("sb", images=("/x/b/1.jpg",)), one("sc", images=("1.jpg",)), one("sa", images=("/x/a/1.jpg",))]
    assert pairs(wanted, stored) == {"a": "sa", "b": "sb", "c": "sc"}


def test_a_name_with_two_possible_items_is_ambiguous_in_either_source() -> None:
    two = [one("a/1.jpg", images=("a/1.jpg",)), one("b/1.jpg", images=("b/1.jpg",))]
    single = [one("entry 4", images=("1.jpg",))]
    assert reasons(match(two, single)) == ["entry 4 may be a/1.jpg or b/1.jpg"] * 2
    assert reasons(match(single, two)) == ["entry 4 may be a/1.jpg or b/1.jpg"]


def test_folders_matter_only_for_images_of_one_name() -> None:
    assert pairs([one("w", images=("data/1.jpg",))], [one("s", images=("/x/koniq/1.jpg",))]) == {"w": "s"}
    two = [one("a", images=("a/1.jpg",)), one("b", images=("b/1.jpg",))]
    assert not match(two, [one("s", images=("c/1.jpg",))]).pairs


def test_one_output_matches_only_one_item() -> None:
    two = [one("a", images=("a/1.jpg",)), one("b", images=("b/1.jpg",))]
    assert pairs(two, [one("s", images=("a/1.jpg",))]) == {"a": "s"}


def test_questions_about_one_image_are_matched_by_their_texts() -> None:
    wanted = [one(q, images=("1.jpg",), question=q, options=("Yes", "No")) for q in ("Sharp?", "Dark?")]
    stored = [one(q, images=("1.jpg",), question_hash=hash_question(q, ("Yes", "No"))) for q in ("Dark?", "Sharp?")]
    assert pairs(wanted, stored) == {"Sharp?": "Sharp?", "Dark?": "Dark?"}
    assert not match(wanted, [one("other", images=("1.jpg",), question="Noisy?")]).pairs


def test_a_unique_question_matches_where_images_and_ids_are_unknown() -> None:
    wanted = [one("w", images=("1.jpg",), question="Is  it sharp? ", options=("Yes", "No"))]
    assert match(wanted, [one("s", question="Is it sharp?", options=("Yes", "No"))]).counts() == {"question": 1}
    assert not match(wanted, [one("s", question="Is it sharp?", options=("No", "Yes"))]).pairs
    assert not match(wanted, [one("s", images=("2.jpg",), question="Is it sharp?", options=("Yes", "No"))]).pairs


def test_equal_pictures_decide_between_items_of_one_text() -> None:
    wanted = [one(f"w{i}", question="Sharp?", options=("Yes", "No"), picture=lambda i=i: f"p{i}") for i in range(3)]
    stored = [one(f"s{i}", question="Sharp?", options=("Yes", "No"), picture=lambda i=i: f"p{i}") for i in (2, 0, 9)]
    found = match(wanted, stored)
    assert (found.counts(), pairs(wanted, stored)) == ({"image": 2}, {"w0": "s0", "w2": "s2"})
    assert reasons(found) == ["w1 may be s2 or s0 (and 1 more)"]


def test_pictures_are_not_read_where_names_or_texts_decide() -> None:
    def never() -> str:
        raise AssertionError("read")

    wanted = [one("w", images=("1.jpg",), question="Q?", options=("A", "B"), picture=never)]
    for stored in (
        one("s", images=("1.jpg",), picture=never),
        one("s", question="Q?", options=("A", "B"), picture=never),
    ):
        assert pairs(wanted, [stored]) == {"w": "s"}


def test_datasets_and_splits_do_not_mix_where_both_are_known() -> None:
    wanted = [one("w", ids=("1",), dataset="koniq", split=None)]
    assert not match(wanted, [one("s", ids=("1",), dataset="spaq")]).pairs
    assert match(wanted, [one("s", ids=("1",))]).pairs


def test_the_two_images_of_a_pair_must_both_agree() -> None:
    wanted = [one("w", images=("a.jpg", "b.jpg"))]
    assert pairs(wanted, [one("s", images=("x/a.jpg", "x/b.jpg"))]) == {"w": "s"}
    assert not match(wanted, [one("s", images=("b.jpg", "a.jpg"))]).pairs
    assert not match(wanted, [one("s", images=("a.jpg",))]).pairs


def test_the_identity_of_an_item_has_id_names_texts_and_images(tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "1.png").write_bytes(b"pixels")
    image = FileImage(tmp_path, "images", "1.png")
    item = Item(
        "llvisionqa/dev/7",
        "perception",
        "llvisionqa",
        "dev",
        "g",
        (image,),
        "Q?",
        ("A", "B"),
        image_names=("1.png",),
        aliases=("12",),
    )
    found = identity_of(item)
    assert (found.label, found.ids, found.images, found.split) == ("llvisionqa/dev/7", ("7", "12"), ("1.png",), "dev")
    assert found.picture is not None
    assert found.picture() == picture_hash(item) is not None
    (tmp_path / "1.png").unlink()
    assert picture_hash(item) is None


@st.composite
def two_views(draw: st.DrawFn) -> tuple[list[Identity], list[Identity]]:
    """Return two sources of one benchmark, each with some of the items and properties, in its own order.

    Labels hold the true item. Sources with common ids may lack items, each with its own text; sources with different
    ids hold the same items. Folders come before the names.
    """
    n = draw(st.integers(1, 8))
    texts = draw(st.lists(st.sampled_from(["sharp", "dark", "noisy"]), min_size=n, max_size=n))
    shared_ids = draw(st.booleans())
    if shared_ids:
        texts = [f"{text} {i}" for i, text in enumerate(texts)]
    names = ["1.jpg", "2.jpg", "3.jpg"] if shared_ids else ["a/1.jpg", "b/1.jpg", "2.jpg"]
    photos = draw(st.lists(st.sampled_from(names), min_size=n, max_size=n))
    truth = list(dict.fromkeys(zip(photos, texts, strict=True)))
    sides = []
    for side in "ws":
        kept = [i for i in draw(st.permutations(range(len(truth)))) if not shared_ids or draw(st.integers(0, 4))]
        named, questions, pictures = draw(st.booleans()), draw(st.booleans()) or shared_ids, draw(st.booleans())
        prefix = draw(st.sampled_from(["", "/data/", "C:\\x\\"]))
        sides.append([
            Identity(
                str(i), (str(i) if shared_ids else f"{side}{i}",), (prefix + truth[i][0],) if named else (),
                truth[i][1] if questions else None, ("Yes", "No") if questions else None,
                picture=partial(str, truth[i][0]) if pictures else None,
            )
            for i in kept
        ])  # fmt: skip
    return sides[0], sides[1]


@given(two_views())
def test_items_of_the_same_content_are_matched_and_no_others(views: tuple[list[Identity], list[Identity]]) -> None:
    wanted, stored = views
    found = match(wanted, stored)
    assert all(wanted[w].label == stored[s].label for w, s in found.pairs.items())
    assert len(set(found.pairs.values())) == len(found.pairs)
    assert not found.pairs.keys() & found.ambiguous.keys()
    if wanted and wanted[0].ids == (wanted[0].label,):
        assert {wanted[w].label for w in found.pairs} == {w.label for w in wanted} & {s.label for s in stored}


@given(two_views(), st.randoms())
def test_the_order_of_the_two_sources_does_not_matter(views, random) -> None:  # type: ignore[no-untyped-def]
    wanted, stored = views
    before = pairs(wanted, stored)
    random.shuffle(wanted)
    random.shuffle(stored)
    assert pairs(wanted, stored) == before
