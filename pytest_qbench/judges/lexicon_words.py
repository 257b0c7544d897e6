"""The word list of the smoke judge, as data: phrases with their aspect and value."""

from __future__ import annotations

# aspect -> value -> phrases that state it on their own, separated by commas. Values of an aspect form a scale.
SAYS: dict[str, dict[int, str]] = {
    "sharpness": {
        -1: "blurry, blurred, blur, blurs, blurriness, blurring, out of focus, poor focus, lack of focus, defocus,"
        " defocused, unclear, fuzzy, hazy, smeared, indistinct, unsharp",
        1: "sharp, crisp, clear, in focus, well focused, well defined, detailed",
    },
    "cause of blur": {
        -1: "motion, movement, camera shake, hand shake, shaky",
        1: "out of focus, poor focus, lack of focus, wrong focus, defocus, defocused",
    },
    "noise": {
        -1: "noise, noisy, noises, grain, grains, grainy, graininess, speckles",
        1: "low noise, little noise, minimal noise, noiseless, clean",
    },
    "artifacts": {
        -1: "artifact, artifacts, artefact, artefacts, compression, compressed, compression artifact,"
        " compression artifacts, compression distortion, block artifacts, blocking artifacts, blocky, blockiness,"
        " pixelated, pixelation, banding, ringing",
    },
    "brightness": {
        -1: "dark, too dark, dim, dimly lit, poorly lit, underexposed, underexposure, low light, darkness, gloomy",
        0: "well lit, well exposed, properly exposed, correctly exposed, well illuminated, bright enough",
        1: "bright",
        2: "too bright, overly bright, overexposed, overexposure, blown out, glaring",
    },
    "contrast": {},
    "color": {
        -2: "gray, grey, grayscale, greyscale, colorless, monochrome, monochromatic, black and white",
        -1: "faded, washed out, desaturated, undersaturated, pale, dull, muted, monotonous",
        1: "vivid, vibrant, colorful, saturated, bright colors, bright color, rich colors, rich color",
        2: "oversaturated, oversaturation, too saturated, overly saturated, too vivid, too strong colors",
    },
    "quality": {},
}
# aspect -> value -> adjectives that state it together with a noun of the aspect only.
SAYS_OF: dict[str, dict[int, str]] = {
    "sharpness": {-1: "poor low bad lost loss missing lack lacks lacking", 1: "good high great excellent rich fine"},
    "brightness": {
        -1: "low poor insufficient weak inadequate lack lacks lacking",
        0: "normal good sufficient adequate proper appropriate balanced moderate natural suitable fine even",
        1: "high strong",
        2: "excessive harsh",
    },
    "contrast": {
        -1: "low poor weak insufficient bad lack lacks lacking",
        1: "good high strong normal sufficient rich balanced moderate appropriate adequate fine",
    },
    "color": {
        -1: "poor bad low weak lack lacks lacking",
        0: "natural normal balanced good realistic accurate moderate appropriate true fine",
        1: "rich bright high beautiful",
        2: "excessive strong unnatural intense exaggerated",
    },
    "quality": {
        -1: "poor bad low terrible awful",
        0: "average medium moderate acceptable fair ordinary normal mediocre",
        1: "good high excellent great fine nice",
    },
}
NOUNS = {
    "sharpness": "sharpness clarity focus detail details texture textures definition edges",
    "brightness": "brightness lighting illumination exposure light",
    "contrast": "contrast",
    "color": "color colors saturation coloration tones hues",
    "quality": "quality",
}
# aspect -> value -> value of its negation: "not dark" is normal. "not natural" has no value.
NEGATED = {
    "sharpness": {-1: 1, 1: -1},
    "noise": {-1: 1, 1: -1},
    "artifacts": {-1: 1},
    "brightness": {-1: 0, 0: -1, 1: -1, 2: 0},
    "contrast": {-1: 1, 1: -1},
    "color": {-2: 0, -1: 0, 1: -1, 2: 0},
    "quality": {-1: 0, 1: -1},
}
NEAR = {"brightness": [(0, 1), (1, 2)], "color": [(-2, -1), (0, 1), (1, 2)], "quality": [(-1, 0), (0, 1)]}
DEFECTS = {
    "sharpness": (-1,), "noise": (-1,), "artifacts": (-1,), "contrast": (-1,), "brightness": (-1, 2),
    "color": (-2, -1, 2),
}  # fmt: skip
DEGREES = {
    1: "slight slightly mild mildly minor bit little somewhat faint faintly",
    2: "moderate moderately fairly rather quite noticeable noticeably medium",
    3: "serious seriously severe severely heavy heavily very strong strongly significant significantly highly",
    4: "extreme extremely terribly totally completely awfully",
}
NEGATORS = "not no never without hardly neither nor none free lack lacks lacking absence non"
OTHER_LOW_LEVEL = (
    "resolution composition aesthetics aesthetic distortion distortions depth framing flare glare vignetting"
)
OTHER_MEANINGS = (
    "clear that, clear sky, clear day, clear water, dark green, dark blue, dark brown, dark hair, clean water"
)
SIDES = {"left": "left", "right": "right", "top": "top", "upper": "top", "bottom": "bottom", "lower": "bottom"}
PARTS = "part|side|half|area|corner|region|portion|section|third|edge"
