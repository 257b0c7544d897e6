"""Match the items of two sources of one benchmark: data against a baseline, or data against recorded outputs.

Three rules apply, in this order. Each one makes only pairs that are unique in both sources.

1. ``id``: the ids agree, and neither the texts nor the image names contradict.
2. ``image``: the images agree and the texts do not contradict. Names are compared from their end (``b.jpg`` is
   ``koniq/b.jpg``), the longest agreement first. Different folders before a name matter only where one source has
   two images of this name. The bytes of the images decide between items of one text.
3. ``question``: question and options agree, no other item has them, and the image names do not contradict.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from pytest_qbench.data.identity import (
    SUFFIX,
    Identity,
    agreement,
    base_names,
    hashed,
    in_scope,
    names_contradict,
    picture,
    scope,
    texts_agree,
    without_folders,
)

Rule = Literal["id", "image", "question"]
RULES: tuple[Rule, ...] = ("id", "image", "question")
_Edge = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """An item with several possible partners, and the labels of these partners."""

    label: str
    candidates: tuple[str, ...]

    def __str__(self) -> str:
        more = len(self.candidates) - 2
        also = f" (and {more} more)" if more > 0 else ""
        return f"{self.label} may be {self.candidates[0]} or {self.candidates[1]}{also}"


@dataclass(frozen=True)
class Matching:
    """The pairs found, as positions in `wanted` -> positions in `stored`, with the rule behind each pair.

    `changed` pairs items that share an id but not their texts: one source was edited, so they do not match. `ambiguous`
    maps a position in `wanted` to the reason why it has no partner.
    """

    pairs: dict[int, int]
    rules: dict[int, Rule]
    changed: dict[int, int]
    ambiguous: dict[int, Ambiguity]

    def counts(self) -> dict[str, int]:
        """Return the number of pairs by each rule, in the order of the rules, without zeros."""
        found = Counter(self.rules.values())
        return {rule: found[rule] for rule in RULES if found[rule]}


def match(wanted: Sequence[Identity], stored: Sequence[Identity]) -> Matching:
    """Return the pairs of wanted and stored items; the module describes the rules."""
    return _Matcher(wanted, stored).run()


class _Matcher:
    """Both sources with their indexes. A position is paired at most once in either source."""

    def __init__(self, wanted: Sequence[Identity], stored: Sequence[Identity]) -> None:
        self.wanted, self.stored = [hashed(one) for one in wanted], [hashed(one) for one in stored]
        self.pairs: dict[int, int] = {}
        self.rules: dict[int, Rule] = {}
        self.taken: set[int] = set()
        self.ambiguous: dict[int, Ambiguity] = {}
        self.by_id: dict[str, list[int]] = defaultdict(list)
        for s, one in enumerate(self.stored):
            for own in one.ids:
                self.by_id[own].append(s)

    def run(self) -> Matching:
        same_id = [
            (w, s) for w, one in enumerate(self.wanted)
            for s in dict.fromkeys(s for own in one.ids for s in self.by_id.get(own, ()))
            if in_scope(one, self.stored[s])
        ]  # fmt: skip
        contradicting = {edge for edge in same_id if self._contradict(*edge)}
        renumbered = self._renumbered(contradicting)
        trusted = [(w, s) for w, s in same_id if scope(self.wanted[w]) not in renumbered]
        self._pair("id", [(0, edge) for edge in trusted if edge not in contradicting])
        if len(self.pairs) + len(self.ambiguous) < len(self.wanted):
            self._pair("image", list(self._same_image()))
            self._pair_by_text()
        changed: dict[int, int] = {}
        for w, s in trusted:
            if w in self.pairs or w in self.ambiguous or s in self.taken:
                continue
            if texts_agree(self.wanted[w], self.stored[s]) is False:
                changed[w] = s
            else:  # only the image was renamed
                self._keep("id", w, s)
        return Matching(self.pairs, self.rules, changed, self.ambiguous)

    def _contradict(self, w: int, s: int) -> bool:
        a, b = self.wanted[w], self.stored[s]
        return texts_agree(a, b) is False or names_contradict(a, b)

    def _renumbered(self, contradicting: set[_Edge]) -> set[tuple[str | None, ...]]:
        """Return the datasets whose ids number the items in another order in the other source.

        In such a dataset an id leads to other content, while its content has another id. An edited item differs: its
        old content no longer exists.
        """
        found: set[tuple[str | None, ...]] = set()
        for w, _ in contradicting:
            one = self.wanted[w]
            if scope(one) in found:
                continue
            elsewhere = self.by_image.get(base_names(one), []) if one.images else []
            elsewhere = elsewhere or _same_text(one, self.by_text, self.stored)
            if any(
                in_scope(one, self.stored[s]) and texts_agree(one, self.stored[s]) is not False
                and not names_contradict(one, self.stored[s]) for s in elsewhere
            ):  # fmt: skip
                found.add(scope(one))
        return found

    def _same_image(self) -> Iterator[tuple[int, _Edge]]:
        for w, one in enumerate(self.wanted):
            if w in self.pairs or w in self.ambiguous or not one.images:
                continue
            for s in self.by_image.get(base_names(one), ()):
                other = self.stored[s]
                if s in self.taken or not in_scope(one, other) or texts_agree(one, other) is False:
                    continue
                level = agreement(one.images, other.images)
                if level >= SUFFIX or self._folders_do_not_matter(base_names(one)):
                    yield level, (w, s)

    def _folders_do_not_matter(self, name: tuple[str, ...]) -> bool:
        """Whether each source has only one image of this name, so that different folders mean the same image."""
        return all(source[name] == 1 for source in self.images_of_name)

    @cached_property
    def images_of_name(self) -> list[Counter[tuple[str, ...]]]:
        """Number of different images per name without folders, for each source."""
        return [Counter(map(without_folders, {one.images for one in source})) for source in (self.wanted, self.stored)]

    def _pair_by_text(self) -> None:
        """Apply the third rule; where a text is not unique, the bytes of the images decide."""
        groups: dict[tuple[str | None, ...], list[int]] = defaultdict(list)
        for w, one in enumerate(self.wanted):
            if w not in self.pairs and w not in self.ambiguous and (one.question_hash or one.question):
                groups[one.question_hash, one.question, *scope(one)].append(w)
        for rivals in groups.values():
            candidates = _same_text(self.wanted[rivals[0]], self.by_text, self.stored)
            if any(s not in self.taken for s in candidates):
                self._decide(rivals, candidates)

    def _decide(self, rivals: list[int], candidates: list[int]) -> None:
        """Pair wanted items of one text with the stored items of that text, `candidates`; some are paired already."""
        if len(candidates) == 1:
            rivals_of_all = _same_text(self.stored[candidates[0]], self.wanted_by_text, self.wanted)
            if len(rivals_of_all) == 1 and not names_contradict(self.wanted[rivals[0]], self.stored[candidates[0]]):
                self._keep("question", rivals[0], candidates[0])
                return
        else:
            rivals_of_all = rivals
        by_picture: dict[str, list[int]] = defaultdict(list)
        for s in candidates:
            if s not in self.taken and (found := picture(self.stored[s])) is not None:
                by_picture[found].append(s)
        if by_picture:
            same = [(w, s) for w in rivals for s in by_picture.get(picture(self.wanted[w]) or "", ())]
            self._pair("image", [(0, edge) for edge in same])
        there = tuple(self.stored[s].label for s in candidates)
        here = tuple(self.wanted[w].label for w in rivals_of_all)
        for w in rivals:
            if w in self.pairs or w in self.ambiguous:
                continue
            if any(s not in self.taken and not names_contradict(self.wanted[w], self.stored[s]) for s in candidates):
                one = self.wanted[w].label
                self.ambiguous[w] = Ambiguity(one, there) if len(there) > 1 else Ambiguity(there[0], here)

    def _pair(self, rule: Rule, edges: list[tuple[int, _Edge]]) -> None:
        """Keep the edges that are unique at both ends, the highest level first; the other items are ambiguous."""
        levels: dict[int, list[_Edge]] = defaultdict(list)
        for level, edge in edges:
            levels[level].append(edge)
        for _, found in sorted(levels.items(), reverse=True):
            live = [(w, s) for w, s in found if w not in self.pairs and w not in self.ambiguous and s not in self.taken]
            of_wanted, of_stored = defaultdict(list), defaultdict(list)
            for w, s in live:
                of_wanted[w].append(s)
                of_stored[s].append(w)
            for w, s in live:
                if len(of_wanted[w]) > 1:
                    labels = tuple(self.stored[each].label for each in of_wanted[w])
                    self.ambiguous[w] = Ambiguity(self.wanted[w].label, labels)
                elif len(of_stored[s]) > 1:
                    labels = tuple(self.wanted[each].label for each in of_stored[s])
                    self.ambiguous[w] = Ambiguity(self.stored[s].label, labels)
                else:
                    self._keep(rule, w, s)

    def _keep(self, rule: Rule, w: int, s: int) -> None:
        self.pairs[w], self.rules[w] = s, rule
        self.taken.add(s)

    @cached_property
    def by_image(self) -> dict[tuple[str, ...], list[int]]:
        """Positions in `stored` by the image names without folders."""
        found: dict[tuple[str, ...], list[int]] = defaultdict(list)
        for s, one in enumerate(self.stored):
            if one.images:
                found[base_names(one)].append(s)
        return found

    @cached_property
    def by_text(self) -> dict[str, list[int]]:
        """Positions in `stored` by text."""
        return _by_text(self.stored)

    @cached_property
    def wanted_by_text(self) -> dict[str, list[int]]:
        """Positions in `wanted` by text."""
        return _by_text(self.wanted)


def _by_text(source: Sequence[Identity]) -> dict[str, list[int]]:
    """Return positions by hash of question and options, and by the question alone."""
    found: dict[str, list[int]] = defaultdict(list)
    for position, one in enumerate(source):
        for key in filter(None, (one.question_hash, one.question)):
            found[key].append(position)
    return found


def _same_text(one: Identity, index: dict[str, list[int]], source: Sequence[Identity]) -> list[int]:
    """Return the positions of `source` with texts that agree with those of `one`."""
    keys = filter(None, (one.question_hash, one.question))
    positions = dict.fromkeys(position for key in keys for position in index.get(key, ()))
    return [each for each in positions if in_scope(one, source[each]) and texts_agree(one, source[each])]
