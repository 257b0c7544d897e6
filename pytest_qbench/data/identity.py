"""Identity of an item in one source of a benchmark (id, images, texts), and the agreement of two identities."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from pytest_qbench.errors import ItemError
from pytest_qbench.items import ImageSource, Item
from pytest_qbench.untrusted.shape import Shape, check_shape

#: Levels of agreement where one name is the end of the other one, or the names are equal.
SUFFIX, _EQUAL = 10_000, 20_000  # larger than the number of components of any path
_STORED: Shape = {"names": [str], "aliases": [str], "asked": str, "picture": str}


@dataclass(frozen=True, slots=True)
class Identity:
    """The known properties of an item in one source; None (for `images`: empty) means unknown and contradicts nothing.

    `label` names the item in messages. `ids` are its ids within the dataset. `images` are file names, possibly with
    folders. `question_hash` is the hash of question and options, for sources that keep no texts. `picture` returns the
    hash of the images' bytes; it is called only where names and texts do not decide.
    """

    label: str
    ids: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    question: str | None = None
    options: tuple[str, ...] | None = None
    question_hash: str | None = None
    picture: Callable[[], str | None] | None = field(default=None, compare=False)
    task: str | None = None
    dataset: str | None = None
    split: str | None = None


def identity_of(item: Item) -> Identity:
    """Return the identity of a data item."""
    prefix = f"{item.dataset}/{item.split}/" if item.split else f"{item.dataset}/"
    return Identity(
        item.id, (item.id.removeprefix(prefix), *item.aliases), item.image_names, item.question, item.options or None,
        picture=partial(_hash_images, item.images), task=item.task, dataset=item.dataset, split=item.split,
    )  # fmt: skip


def hash_question(question: str | None, options: Iterable[str] | None) -> str | None:
    """Return the hash of a question with its options, 16 hex digits; None unless both are known."""
    if question is None or options is None:
        return None
    content = json.dumps([_plain(question), *map(_plain, options)], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def picture_hash(item: Item) -> str | None:
    """Return the hash of the bytes of an item's images, 16 hex digits; None where one cannot be read."""
    return _hash_images(item.images)


def _hash_images(images: Sequence[ImageSource]) -> str | None:
    found = hashlib.sha256()
    try:
        for image in images:
            content = image.read()
            found.update(len(content).to_bytes(8))
            found.update(content)
    except ItemError:
        return None
    return found.hexdigest()[:16] if images else None


def stored_form(item: Item, *, has_picture: bool = False) -> dict[str, object]:
    """Return the identity of a data item as plain values, without the properties that its id states.

    Reads the images of questions, unless the record `has_picture`, the hash of the images that the model saw.
    """
    asked = hash_question(item.question, item.options or None)
    values = {"names": list(item.image_names), "aliases": list(item.aliases), "asked": asked,
              "picture": picture_hash(item) if asked and not has_picture else None}  # fmt: skip
    return {key: value for key, value in values.items() if value}


def identity_from(stored: Mapping[str, Any], label: str, task: str, dataset: str, split: str | None) -> Identity:
    """Return the identity of the item `label` from the plain values of `stored_form`, any of which may be absent.

    Raises `ValueError` for values of other types.
    """
    check_shape(stored, dict, "identity")
    for key, shape in _STORED.items():
        if key in stored:
            check_shape(stored[key], shape, f"identity.{key}")
    prefix = f"{dataset}/{split}/" if split else f"{dataset}/"
    seen = stored.get("picture")
    return Identity(
        label, (label.removeprefix(prefix), *stored.get("aliases", ())), tuple(stored.get("names", ())),
        question_hash=stored.get("asked"), picture=None if seen is None else partial(str, seen),
        task=task, dataset=dataset, split=split,
    )  # fmt: skip


def hashed(one: Identity) -> Identity:
    """Return an identity with its hash of question and options, and a question without superfluous blanks."""
    question = None if one.question is None else _plain(one.question)
    return replace(one, question=question, question_hash=one.question_hash or hash_question(one.question, one.options))


def _plain(text: str) -> str:
    return " ".join(text.split())


def scope(one: Identity) -> tuple[str | None, ...]:
    """Return the task, dataset and split."""
    return one.task, one.dataset, one.split


def in_scope(a: Identity, b: Identity) -> bool:
    """Whether task, dataset and split agree where both are known."""
    return all(x is None or y is None or x == y for x, y in zip(scope(a), scope(b), strict=True))


def texts_agree(a: Identity, b: Identity) -> bool | None:
    """Whether question and options agree where both identities know them; None where they cannot be compared."""
    if a.question_hash is not None and b.question_hash is not None:
        return a.question_hash == b.question_hash
    if a.question is not None and b.question is not None:
        return a.question == b.question
    return None


def _components(name: str) -> list[str]:
    return [part for part in name.replace("\\", "/").split("/") if part]


def base_names(one: Identity) -> tuple[str, ...]:
    """Return the image names without their folders."""
    return without_folders(one.images)


def without_folders(names: Iterable[str]) -> tuple[str, ...]:
    """Return file names without their folders; a backslash is a separator, too."""
    return tuple(name.replace("\\", "/").rpartition("/")[2] for name in names)


def names_contradict(a: Identity, b: Identity) -> bool:
    """Whether both identities name their images, and with different names."""
    return bool(a.images and b.images) and base_names(a) != base_names(b)


def agreement(a: Sequence[str], b: Sequence[str]) -> int:
    """Return the agreement of two lists of names: the common path components from the end, of the worst pair.

    A name that is the end of the other one (`SUFFIX` or more) agrees more than any other; equal names agree most.
    """
    return min(_level(_components(one), _components(other)) for one, other in zip(a, b, strict=True))


def _level(one: list[str], other: list[str]) -> int:
    if one == other:
        return _EQUAL
    shorter = min(len(one), len(other))
    same = next((i for i, (x, y) in enumerate(zip(reversed(one), reversed(other), strict=False)) if x != y), shorter)
    return same + (SUFFIX if same == shorter else 0)


def picture(one: Identity) -> str | None:
    """Return the hash of the images, None where it is unknown."""
    return one.picture() if one.picture is not None else None
