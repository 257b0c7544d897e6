"""Properties of the published datasets: names, files, codes, groups and licences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_qbench.items import Task

TYPES = ("yes_or_no", "what", "how")
CONCERNS = ("distortion", "other", "in_context_distortion", "in_context_other")
#: Q-Bench2's four concerns: two columns of its leaderboard, distortion or other and compare or joint.
PAIR_CONCERNS = (("distortion", "compare"), ("other", "compare"), ("distortion", "joint"), ("other", "joint"))
SPLITS = ("dev", "test")

#: Other names of a dataset's files and of the option `--qbench-datasets`.
ALIASES = {"flive": "livefb", "cgi": "cgiqa", "agi": "agiqa", "koniq10k": "koniq", "kadid10k": "kadid"}
_FILE_NAMES = {"livefb": ("livefb", "flive"), "cgiqa": ("cgiqa", "cgi"), "agiqa": ("agiqa", "agi")}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of a published dataset lie: in one of `folders`, under one of `stems`.

    `{split}` in a stem stands for dev or test; `tables` are the names of its VLMEvalKit files per split.
    """

    task: Task
    folders: tuple[str, ...]
    stems: tuple[str, ...]
    images: tuple[str, ...]
    tables: Mapping[str, tuple[str, ...]]


LAYOUTS = {
    "llvisionqa": Layout(
        "perception",
        ("llvisionqa", "Q-Bench-HF"),
        ("llvisionqa_{split}",),
        ("images",),
        {"dev": ("Q-Bench1_VAL",), "test": ("Q-Bench1_TEST",)},
    ),
    "qbench2": Layout(
        "perception",
        ("qbench2", "q-bench2", "Q-Bench2-HF"),
        ("qbench2_{split}", "q-bench2-a1-{split}"),
        ("images", "all_single_images"),
        {"dev": ("Q-Bench2_VAL",), "test": ("Q-Bench2_TEST",)},
    ),
    "abench": Layout(
        "perception",
        ("abench", "A-Bench", "A-Bench-HF"),
        ("abench_{split}", "Abench"),
        ("images", "imgs"),
        {"dev": ("A-Bench_VAL", "A-bench_VAL"), "test": ("A-Bench_TEST", "A-bench_TEST")},
    ),
    "lldescribe": Layout("description", ("lldescribe",), ("lldescribe",), ("images",), {}),
}
#: The seven databases that the published tables of quality scores average over, in their order.
DATABASES = ("koniq", "spaq", "livefb", "livec", "cgiqa", "agiqa", "kadid")
#: The folder of the seven databases; in the official download it is called `mos`.
ASSESSMENT_FOLDERS = ("iqa", "mos")

_Q_BENCH = "S-Lab License 1.0 (non-commercial); the images as in their sources"
_PAGE = "see the database's page: "
#: Licences of the datasets; a note, not legal advice.
LICENSES = {
    "llvisionqa": _Q_BENCH,
    "lldescribe": _Q_BENCH,
    "qbench2": "MIT as stated on the hub; the images as in their sources",
    "abench": "CC BY 4.0 as stated on the hub",
    "koniq": _PAGE + "http://database.mmsp-kn.de/koniq-10k-database.html",
    "spaq": _PAGE + "https://github.com/h4nwei/SPAQ",
    "livefb": _PAGE + "https://niu-haoran.github.io/FLIVE_Database/",
    "livec": _PAGE + "https://live.ece.utexas.edu/research/ChallengeDB/index.html",
    "cgiqa": "ask the authors of CGIQA-6K",
    "agiqa": _PAGE + "https://github.com/lcysyzxdxc/AGIQA-3k-Database",
    "kadid": _PAGE + "http://database.mmsp-kn.de/kadid-10k-database.html",
}


def canonical(name: str) -> str:
    """Return a dataset's name in ids and reports: `cgi` is `cgiqa`, `flive` is `livefb`, `agi` is `agiqa`."""
    return ALIASES.get(name.lower(), name.lower() if name.lower() in _KNOWN else name)


def file_names(name: str) -> tuple[str, ...]:
    """Return the file names of a dataset, the usual one first: for `cgiqa` also `cgi`."""
    return _FILE_NAMES.get(name, (name,))


def task_of(name: str) -> Task | None:
    """Return the task of a published dataset, None for any other name."""
    if name in LAYOUTS:
        return LAYOUTS[name].task
    return "assessment" if name in _KNOWN else None


_KNOWN = frozenset(LICENSES)
_KADID_REFERENCE = re.compile(r"(?i)(I\d+)(?:_\d+)*\.\w+\Z")
_CGIQA_HALF = re.compile(r"(?i)(game|movie)_")


def group_of(dataset: str, image: str) -> str | None:
    """Return the reference image in the name of an image of KADID, which is its group; None for other datasets."""
    match = _KADID_REFERENCE.match(image.rpartition("/")[2]) if dataset == "kadid" else None
    return match[1].upper() if match else None


def half_of(dataset: str, image: str) -> str | None:
    """Return the half of CGIQA-6K that an image belongs to, `game` or `movie`; None for other datasets."""
    match = _CGIQA_HALF.match(image.rpartition("/")[2]) if dataset == "cgiqa" else None
    return match[1].lower() if match else None
