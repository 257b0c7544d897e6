"""Make the embedded `mini` data from the scenes: ``python tools/make_mini.py`` (seeded; rewrites pytest_qbench/mini).

Every scene is cut into disjoint 128-pixel crops, and gives as many images as any other. Every image is a crop with a known
recipe, from which questions, golden texts and reference scores follow. The files are stored in the repository, because JPEG encoders and random streams differ between
machines and versions.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import questions as qa
import yaml
from causes import (
    CAUSES,
    LOCAL_CAUSES,
    MARGIN,
    ORDER,
    REGIONS,
    SIDE,
    UNCLEAR_PAIRS,
    Recipe,
    is_usable,
    luma,
    render,
)
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).parent
OUT = HERE.parent / "pytest_qbench" / "mini"
SEED = 20231004
NEED = SIDE + 2 * MARGIN
CROPS_PER_SCENE = 3  # as many as a scene has images
STEP = 16  # pixels between the grid offsets that are tried
# Perception items per (type, concern): yes-or-no, what, how x distortion, other, in-context distortion, in-context other.
CELLS = {(0, 0): 50, (0, 1): 50, (0, 2): 30, (0, 3): 30, (1, 0): 50, (1, 1): 36, (1, 2): 28, (1, 3): 28,
         (2, 0): 48, (2, 1): 48, (2, 2): 26, (2, 3): 26}  # fmt: skip
DESCRIPTIONS = 60
ASSESSED = 150  # assessment items per dataset
Crop = NDArray[np.uint8]


def disjoint_crops(scene: Crop) -> list[Crop]:
    """Return the usable crops, sharpest first, for the first grid offset that has enough, else for that with most."""
    h, w, _ = scene.shape
    best: list[Crop] = []
    for dy, dx in itertools.product(range(0, SIDE, STEP), repeat=2):
        found = [
            crop
            for y in range(dy, h - NEED + 1, SIDE)
            for x in range(dx, w - NEED + 1, SIDE)
            if is_usable(crop := scene[y : y + NEED, x : x + NEED])
        ]
        best = max(best, found, key=len)
        if len(best) >= CROPS_PER_SCENE:
            break

    def sharpness(crop: Crop) -> float:
        g = luma(crop.astype(np.float32))
        return float(np.abs(np.diff(g, axis=0)).mean() + np.abs(np.diff(g, axis=1)).mean())

    return sorted(best, key=sharpness, reverse=True)[:CROPS_PER_SCENE]


def recipes(rng: np.random.Generator) -> list[Recipe]:
    """Return the recipes in random order: 26 pristine, 4 per single cause, kind and severity, 48 pairs, 96 in one half.

    Noisy images take the most space, so a pair with noise occurs once, any other three times.
    """
    made = [Recipe() for _ in range(26)]
    for cause in CAUSES:
        for severity in (1, 2, 3, 4):
            for copy in range(6 if cause == "blur" else 4):
                kind = ("motion" if copy % 2 else "defocus") if cause == "blur" else None
                made.append(Recipe({cause: severity}, kind))
    pairs = [(a, b) for i, a in enumerate(CAUSES) for b in CAUSES[i + 1 :] if frozenset((a, b)) not in UNCLEAR_PAIRS]
    for i, pair in enumerate(p for p in pairs for _ in range(1 if "noise" in p else 3)):
        a, b = sorted(pair, key=ORDER.__getitem__)
        kind = ("motion", "defocus")[i % 2] if "blur" in (a, b) else None
        made.append(Recipe({a: int(rng.integers(1, 5)), b: int(rng.integers(1, 5))}, kind))
    for cause in LOCAL_CAUSES:
        for severity in (2, 3, 4):
            for region in REGIONS:
                for copy in range(2):
                    kind = ("motion" if copy % 2 else "defocus") if cause == "blur" else None
                    made.append(Recipe({cause: severity}, kind, region))
    return [made[i] for i in rng.permutation(len(made))]


def photo(name: str) -> str:
    """Return the photograph of an image: what its name has before the number."""
    return name.rsplit("-", 1)[0]


def spread(wanted: int, names: list[str], key: Callable[[str], str], rng: np.random.Generator) -> list[str]:
    """Choose `wanted` names, spread over the values of `key` and then over the photographs as evenly as possible."""
    pools: dict[str, list[str]] = {}
    for i in rng.permutation(len(names)):
        pools.setdefault(key(names[i]), []).append(names[i])
    chosen: list[str] = []
    per_photo: Counter[str] = Counter()
    while len(chosen) < wanted and any(pools.values()):
        for pool in pools.values():
            if pool and len(chosen) < wanted:
                name = min(pool, key=lambda n: per_photo[photo(n)])
                pool.remove(name)
                per_photo[photo(name)] += 1
                chosen.append(name)
    return sorted(chosen)


def is_clear(recipe: Recipe, type_: int) -> bool:
    """Return whether a viewer can be sure of the answer: no weak cause in one half, no level between two words."""
    if type_ == 2:  # severity 3 lies between "slightly" and "very"
        return 3 not in recipe.severity.values()
    return not (recipe.region and min(recipe.severity.values()) < 3) and recipe.severity.get("oversaturated") != 1


def perception(images: dict[str, Recipe], rng: np.random.Generator) -> list[dict[str, object]]:
    """Return questions for every cell, with answers spread as evenly as the recipes allow."""
    items: list[dict[str, object]] = []
    per_image: Counter[str] = Counter()
    per_photo: Counter[str] = Counter()
    position: Counter[int] = Counter()
    names = list(images)
    for (type_, concern), wanted in CELLS.items():
        candidates = []
        for _ in range(40):
            for name in names:
                recipe = images[name]
                if not is_clear(recipe, type_):
                    continue
                local = qa.in_context(recipe, rng, type_)
                q = local if recipe.region else (qa.yes_no, qa.what, qa.how)[type_](recipe, rng)
                if q and (q.type, q.concern) == (type_, concern):
                    candidates.append((name, q))
        taken: Counter[tuple[str, ...]] = Counter()
        asked: set[tuple[str, str]] = set()
        for _ in range(wanted):
            # Prefer the rarest answer, the rarest kind of question, photograph and image: no text prior helps.
            name, q = min(
                (c for c in candidates if (c[0], c[1].about) not in asked),
                key=lambda c: (
                    taken[("answer", c[1].answer)],
                    taken[(c[1].about, c[1].answer)],
                    taken[("about", c[1].about)],
                    per_photo[photo(c[0])],
                    per_image[c[0]],
                    taken[("text", c[1].text)],
                ),
            )
            asked.add((name, q.about))
            per_image[name] += 1
            per_photo[photo(name)] += 1
            taken.update([("answer", q.answer), (q.about, q.answer), ("about", q.about), ("text", q.text)])
            others = [q.others[i] for i in rng.permutation(len(q.others))]
            at = position[len(q.others)] % (len(q.others) + 1)
            position[len(q.others)] += 1
            items.append({
                "id": f"{name}-q{per_image[name]}", "img_path": f"{name}.webp", "question": q.text,
                "candidates": [*others[:at], q.answer, *others[at:]], "correct_ans": q.answer,
                "type": type_, "concern": concern, "group": f"mini/{photo(name)}",
            })  # fmt: skip
    return sorted(items, key=lambda item: str(item["id"]))


def credits(scenes: dict[str, dict[str, str]], used: list[str]) -> str:
    lines = [
        "# Photographs in `mini`", "",
        "Every image is a 128-pixel crop of one of these photographs, downscaled and, except for the pristine ones, distorted",
        "(blur, noise, compression, exposure, contrast, colour). The crops are shared under the licence of their photograph.", "",
        "| images | author | licence | origin |", "| --- | --- | --- | --- |",
    ]  # fmt: skip
    lines += [
        f"| `{n}-*.webp` | {scenes[n]['author']} | {scenes[n]['license']} | {scenes[n]['origin']} |" for n in used
    ]
    lines += ["", "Licence texts: CC0-1.0 https://creativecommons.org/publicdomain/zero/1.0/,"]
    lines += [
        f"{c} https://creativecommons.org/licenses/{c[3:-4].lower()}/{c[-3:]}/,"
        for c in sorted({s["license"] for s in scenes.values()} - {"CC0-1.0", "public-domain"})
    ]
    return "\n".join(lines).rstrip(",") + ".\n"


def main() -> None:
    rng = np.random.default_rng(SEED)
    scenes = yaml.safe_load((HERE / "photos.yaml").read_text(encoding="utf-8"))["scenes"]
    crops = {
        path.stem: disjoint_crops(np.asarray(Image.open(path))) for path in sorted((HERE / "scenes").glob("*.jpg"))
    }
    if OUT.exists():
        shutil.rmtree(OUT)
    (OUT / "images").mkdir(parents=True)
    images: dict[str, Recipe] = {}
    number: Counter[str] = Counter()
    order: list[str] = []
    for recipe in recipes(rng):
        if not order:
            order = [str(scene) for scene in rng.permutation(list(crops))]
        scene = order.pop()
        crop = crops[scene][number[scene] % len(crops[scene])]
        number[scene] += 1
        name = f"{scene}-{number[scene]:02d}"
        Image.fromarray(render(crop, recipe, rng)).save(OUT / "images" / f"{name}.webp", lossless=True, method=4)
        images[name] = recipe
    names = sorted(images)
    group = {name: f"mini/{photo(name)}" for name in names}

    def kind(name: str) -> str:
        r = images[name]
        return f"{'+'.join(sorted(r.severity))}|{bool(r.region)}"

    single = [n for n in names if len(images[n].severity) <= 1 and not images[n].region]
    set_a = spread(ASSESSED, single, lambda n: f"{kind(n)}{sum(images[n].severity.values())}", rng)
    set_b = spread(ASSESSED, [n for n in names if n not in set_a], lambda n: f"{round(images[n].quality * 8)}", rng)
    described = spread(DESCRIPTIONS, names, kind, rng)
    tables = {
        "perception": perception({n: images[n] for n in names}, rng),
        "description": [
            {"id": f"{n}-d", "img_path": f"{n}.webp", "golden": [qa.golden(images[n])], "group": group[n]}
            for n in described
        ],
        **{
            s: [{"img_path": f"{n}.webp", "gt_score": round(images[n].quality, 4), "group": group[n]} for n in chosen]
            for s, chosen in (("mini_a", set_a), ("mini_b", set_b))
        },
    }
    for table, rows in tables.items():
        text = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        (OUT / f"{table}.json").write_text(f"[\n{text}\n]\n", encoding="utf-8")
    listing = [
        {"name": "mini", "task": t, "file": f"{t}.json", "images": "images", "license": "see CREDITS.md"}
        for t in ("perception", "description")
    ]
    listing += [
        {
            "name": s,
            "task": "assessment",
            "file": f"{s}.json",
            "higher_is_better": True,
            "images": "images",
            "license": "see CREDITS.md",
        }
        for s in ("mini_a", "mini_b")
    ]
    header = "# Embedded trial data, not Q-Bench: synthetic causes, and reference scores that are no human opinion.\n"
    (OUT / "datasets.yaml").write_text(
        header + yaml.safe_dump({"datasets": listing}, sort_keys=False), encoding="utf-8"
    )
    used = sorted({photo(n) for n in names})
    (OUT / "CREDITS.md").write_text(credits(scenes, used), encoding="utf-8")
    recipe_lines = "".join(
        json.dumps(
            {
                "image": f"{n}.webp",
                "severity": images[n].severity,
                "blur_kind": images[n].blur_kind,
                "region": images[n].region,
            }
        )
        + "\n"
        for n in names
    )
    (OUT / "recipes.jsonl").write_text(recipe_lines, encoding="utf-8")
    for table, rows in tables.items():
        print(table, len(rows))
    print(
        sum(map(len, crops.values())),
        "crops of",
        len(used),
        "scenes,",
        len(names),
        "images,",
        sum(f.stat().st_size for f in OUT.rglob("*") if f.is_file()) / 1e6,
        "MB",
    )


if __name__ == "__main__":
    main()
