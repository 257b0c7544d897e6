"""Make questions, answers and golden texts from the known causes of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from causes import REGIONS, Recipe

DISTORTIONS = ("blur", "noise", "jpeg")  # concern "distortion"; the other causes are concern "other"
YES_NO: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # cause: (yes if present, yes if absent)
    "blur": (("Is this image blurry?", "Does this image look blurred?", "Is there blur in this image?"),
             ("Is this image clear?", "Is this image sharp?", "Are the details of this image clear?")),
    "noise": (("Is this image noisy?", "Is there noise in this image?", "Does this image look grainy?"),
              ("Is this image free of noise?", "Is this image clean and without noise?")),
    "jpeg": (("Are there compression artifacts in this image?", "Does this image show block artifacts?", "Is this image heavily compressed?"),
             ("Is this image free of compression artifacts?", "Is this image free of block artifacts?")),
    "dark": (("Is this image too dark?", "Is this image underexposed?", "Does this image lack light?"),
             ("Is this image bright enough?", "Is the lighting of this image sufficient?")),
    "bright": (("Is this image overexposed?", "Is this image too bright?"),
               ("Is this image free of overexposure?", "Are the highlights of this image preserved?")),
    "contrast": (("Is the contrast of this image low?", "Does this image lack contrast?"),
                 ("Is the contrast of this image sufficient?", "Does this image have good contrast?")),
    "faded": (("Are the colors of this image faded?", "Does this image look washed out?"),
              ("Is this image colorful?", "Are the colors of this image vivid?")),
    "oversaturated": (("Are the colors of this image oversaturated?", "Are the colors of this image too strong?"),
                      ("Is this image free of oversaturation?", "Is the saturation of this image moderate?")),
}  # fmt: skip
NAME = {
    "blur": "Blur", "noise": "Noise", "jpeg": "Compression artifacts", "dark": "Underexposure", "bright": "Overexposure",
    "contrast": "Low contrast", "faded": "Faded colors", "oversaturated": "Oversaturated colors", None: "No distortion",
}  # fmt: skip
WHAT = ("What is the main distortion of this image?", "Which distortion is the most serious in this image?",
        "What kind of quality problem does this image have?", "Which of the following problems exists in this image?")  # fmt: skip
WHAT_TONE = (
    "What is wrong with the light or the colors of this image?",
    "Which problem do the light and the colors of this image have?",
)
HOW: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "blur": (("How is the clarity of this image?", "How is the sharpness of this image?"), ("Sharp", "Slightly blurry", "Very blurry")),
    "noise": (("How is the noise level of this image?", "How much noise is in this image?"), ("No noise", "Slight noise", "Severe noise")),
    "jpeg": (("How strong is the compression of this image?", "How strong are the block artifacts of this image?"), ("Not visible", "Moderate", "Heavy")),
    "light": (("How is the brightness of this image?", "How is the lighting of this image?", "How is the exposure of this image?"), ("Dark", "Normal", "Bright")),
    "contrast": (("How is the contrast of this image?",), ("Normal", "Low", "Very low")),
    "color": (("How is the color saturation of this image?", "How are the colors of this image?"), ("Natural", "Faded", "Gray", "Oversaturated")),
    "quality": (("How is the overall quality of this image?", "How would you rate the quality of this image?"), ("Good", "Average", "Poor")),
}  # fmt: skip
ADJECTIVE = {"blur": "blurry", "noise": "noisy", "dark": "dark", "bright": "overexposed"}
OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}
# (present, other): the present cause may look like the other one, so no question asks whether the other one is absent.
MASKING = {
    ("dark", "contrast"), ("contrast", "dark"), ("bright", "contrast"), ("contrast", "bright"), ("contrast", "faded"), ("bright", "faded"),
    ("jpeg", "blur"), ("blur", "jpeg"), ("dark", "bright"), ("bright", "dark"), ("dark", "faded"), ("bright", "oversaturated"),
    ("oversaturated", "contrast"),
}  # fmt: skip

DESCRIBE = "Describe the quality, aesthetics and other low-level appearance of the image in details."
RATE, RATE_PREFIX = "Rate the quality of the image.", "The quality of the image is"
SHORT_ANSWER = "Answer the question using a single word or phrase."


@dataclass(frozen=True)
class Question:
    """A multiple-choice question; `type` and `concern` are LLVisionQA's numbers, `about` the cause or attribute."""

    type: int
    concern: int
    text: str
    answer: str
    others: tuple[str, ...]
    about: str


def is_masked(recipe: Recipe, cause: str) -> bool:
    return any((present, cause) in MASKING for present in recipe.severity)


def _one(rng: np.random.Generator, choices: tuple[str, ...] | list[str]) -> str:
    return choices[int(rng.integers(len(choices)))]


def _binary(type_: int, concern: int, text: str, yes: bool, about: str) -> Question:
    return Question(type_, concern, text, "Yes" if yes else "No", ("No" if yes else "Yes",), about)


def _concern(cause: str) -> int:
    return 0 if cause in DISTORTIONS else 1


def yes_no(recipe: Recipe, rng: np.random.Generator) -> Question | None:
    if recipe.region:
        return None
    present = bool(recipe.severity) and rng.random() < 0.6
    candidates = (
        list(recipe.severity)
        if present
        else [c for c in YES_NO if c not in recipe.severity and not is_masked(recipe, c)]
    )
    if not candidates:
        return None
    cause, inverse = _one(rng, candidates), rng.random() < 0.5
    return _binary(0, _concern(cause), _one(rng, YES_NO[cause][int(inverse)]), present != inverse, cause)


def what(recipe: Recipe, rng: np.random.Generator) -> Question | None:
    if recipe.region:
        return None
    causes = list(recipe.severity)
    tone = [c for c in causes if c not in DISTORTIONS]
    if len(tone) == 1 and (len(causes) == 2 or rng.random() < 0.4):
        pool = [NAME[c] for c in NAME if c and c not in DISTORTIONS and c != tone[0] and not is_masked(recipe, c)]
        if len(pool) < 2:
            return None
        others = rng.choice(pool, min(3, len(pool)), replace=False)
        return Question(1, 1, _one(rng, WHAT_TONE), NAME[tone[0]], tuple(map(str, others)), tone[0])
    if len(causes) > 1:
        return None
    cause = causes[0] if causes else None
    if cause == "blur" and recipe.severity[cause] >= 3 and rng.random() < 0.35:
        kinds = ("Motion blur", "Defocus blur")
        answer = kinds[0] if recipe.blur_kind == "motion" else kinds[1]
        return Question(
            1, 0, "What kind of blur does this image have?", answer, tuple(k for k in kinds if k != answer), "blur kind"
        )
    mild = bool(causes) and min(recipe.severity.values()) < 2
    pool = [NAME[c] for c in NAME if c != cause and not (c and is_masked(recipe, c)) and not (c is None and mild)]
    others = rng.choice(pool, min(int(rng.integers(2, 4)), len(pool)), replace=False)
    concern = 0 if cause is None else _concern(cause)
    return Question(1, concern, _one(rng, WHAT), NAME[cause], tuple(map(str, others)), cause or "none")


def _light(recipe: Recipe) -> int:
    return 0 if "dark" in recipe.severity else 2 if "bright" in recipe.severity else 1


def how(recipe: Recipe, rng: np.random.Generator) -> Question | None:
    if recipe.region:
        return None
    about = _one(rng, list(HOW))
    texts, options = HOW[about]
    if about == "light":
        level = _light(recipe)
        if level == 1 and (rng.random() < 0.6 or "contrast" in recipe.severity):
            return None
    elif about == "quality":
        q = recipe.quality
        if 0.62 < q < 0.7 or 0.3 < q < 0.38:
            return None
        level = 0 if q > 0.66 else 1 if q > 0.34 else 2
    elif about == "color":
        if "oversaturated" in recipe.severity:
            level = 3
        elif "faded" in recipe.severity:
            level = 1 if recipe.severity["faded"] <= 2 else 2
        elif is_masked(recipe, "faded") or rng.random() < 0.6:
            return None
        else:
            level = 0
    else:
        s = recipe.severity.get(about, 0)
        if s == 0 and (is_masked(recipe, about) or rng.random() < 0.55):
            return None
        level = 0 if s == 0 else 1 if s <= 2 else 2
    concern = 0 if about in DISTORTIONS else 1
    return Question(
        2, concern, _one(rng, texts), options[level], tuple(o for i, o in enumerate(options) if i != level), about
    )


def in_context(recipe: Recipe, rng: np.random.Generator, type_: int) -> Question | None:
    """Return a question about one half of an image whose cause is limited to one half."""
    if not recipe.region:
        return None
    (cause,) = recipe.severity
    concern = 2 if cause in DISTORTIONS else 3
    there = rng.random() < 0.5
    part = recipe.region if there else OPPOSITE[recipe.region]
    if type_ == 0:
        return _binary(0, concern, f"Is the {part} part of this image {ADJECTIVE[cause]}?", there, cause)
    if type_ == 1:
        verb = _one(rng, ["is", "looks"])
        answer, *others = [f"{r.capitalize()} part" for r in sorted(REGIONS, key=lambda r: r != recipe.region)]
        return Question(
            1, concern, f"Which part of this image {verb} {ADJECTIVE[cause]}?", answer, tuple(others), cause
        )
    about = cause if cause in HOW else "light"
    texts, options = HOW[about]
    if about == "light":
        level = _light(recipe) if there else 1
    else:
        level = 0 if not there else 1 if recipe.severity[cause] <= 2 else 2
    text = (
        _one(rng, texts)
        .replace("of this image", f"of the {part} part of this image")
        .replace("in this image", f"in the {part} part of this image")
    )
    return Question(2, concern, text, options[level], tuple(o for i, o in enumerate(options) if i != level), about)


def random_question(recipe: Recipe, rng: np.random.Generator) -> Question | None:
    """Draw a question that fits an image, or return None after 50 tries."""
    for _ in range(50):
        if recipe.region:
            q = in_context(recipe, rng, int(rng.choice(3, p=[0.35, 0.4, 0.25])))
        else:
            q = (yes_no, yes_no, what, what, how, how)[int(rng.integers(6))](recipe, rng)
        if q:
            return q
    return None


ADVERB = ("", "slightly", "moderately", "seriously", "extremely")
LEVEL = ("", "slight", "moderate", "serious", "extreme")


def golden(recipe: Recipe) -> str:
    """Return the description that follows from the known causes."""
    s = recipe.severity
    subject = f"The {recipe.region} part of the image" if recipe.region else "The image"
    parts: list[str] = []
    if "blur" in s:
        reason = "because of motion" if recipe.blur_kind == "motion" else "because of poor focus"
        parts.append(f"{subject} is {ADVERB[s['blur']]} blurry {reason}")
    elif s.get("jpeg", 0) < 3:
        parts.append("The image is sharp and the details are clear")
    if "noise" in s:
        parts.append(f"{subject} is {ADVERB[s['noise']]} noisy")
    if "jpeg" in s:
        parts.append(f"{subject} shows {LEVEL[s['jpeg']]} compression artifacts")
    if "noise" not in s and "jpeg" not in s:
        parts.append("There is no noise or artifact")
    if "dark" in s:
        parts.append(f"{subject} is {ADVERB[s['dark']]} dark")
    elif "bright" in s:
        parts.append(f"{subject} is {ADVERB[s['bright']]} overexposed")
    else:
        parts.append("The brightness is normal")
    if "contrast" in s:
        parts.append(f"{subject} has {ADVERB[s['contrast']]} low contrast")
    if "faded" in s:
        parts.append(f"{subject} has {ADVERB[s['faded']]} faded colors")
    elif "oversaturated" in s:
        parts.append(f"{subject} has {ADVERB[s['oversaturated']]} oversaturated colors")
    elif not is_masked(recipe, "faded"):
        parts.append("The colors are natural")
    q = recipe.quality
    parts.append("Overall, the quality of this image is " + ("good" if q > 0.66 else "average" if q > 0.34 else "poor"))
    return ". ".join(parts) + "."
