"""The recorded outputs of a file or a folder: each file is read or listed with the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pytest_qbench.errors import ModelError
from pytest_qbench.items import LeftOut
from pytest_qbench.models.output_formats.base import NoOutputsError, OutputFile, RawFile, ReadingOptions
from pytest_qbench.models.output_formats.formats import FORMATS, SUFFIXES
from pytest_qbench.models.output_names import dataset_of, is_published, model_of
from pytest_qbench.records import RECORDS

#: Files that a run writes beside its records.
_OF_A_RUN = ("summary.json", "items.jsonl", "journal.jsonl")


@dataclass(slots=True)
class RecordedOutputs:
    """The files with outputs at one place, and the other files there, each with the reason."""

    place: Path
    files: list[OutputFile] = field(default_factory=list)
    unread: list[LeftOut] = field(default_factory=list)

    @property
    def conditions(self) -> dict[str, Any]:
        """The conditions of the earlier run, by fingerprint key; empty for outputs that state none."""
        return self.files[0].conditions if len(self.files) == 1 else {}


def read_outputs(path: Path, arguments: Mapping[str, str] | None = None) -> RecordedOutputs:
    """Read a file or a folder.

    `arguments` may hold `files`, a pattern of the names to read, and `filter`, of a sample log. Raises `ModelError` or
    `DataError` where nothing can be read and where a folder holds two models or two runs.
    """
    arguments = arguments or {}
    options = ReadingOptions(arguments.get("filter"))
    found = RecordedOutputs(path)
    if not path.is_dir():
        try:
            found.files.append(_read_file(path, options))
        except NoOutputsError as e:
            raise ModelError(f"replay:{path}: {e}") from e
        return found
    pattern = arguments.get("files")
    for file, reason in _files(path, pattern):
        name = file.relative_to(path).as_posix()
        if not reason:
            try:
                found.files.append(_read_file(file, options))
                continue
            except NoOutputsError as e:
                reason = str(e)
        found.unread.append(LeftOut("", name, f"not read: {reason}"))
    if not found.files:
        raise ModelError(f"replay:{path}: no recorded outputs; {_nothing_read(path, pattern, found.unread)}")
    _check_one_model(found)
    _check_one_run(found)
    return found


def _read_file(path: Path, options: ReadingOptions) -> OutputFile:
    file = RawFile(path)
    if file.suffix not in SUFFIXES:
        raise ModelError(f"replay:{path}: unknown format {path.suffix!r}; one of {', '.join(SUFFIXES)} is needed")
    for output_format in FORMATS:
        if file.suffix in output_format.suffixes and (read := output_format.read(file, options)) is not None:
            names = [path.name] if read.dataset is None else [read.dataset, path.name]
            # A log names its task; where that tells no published dataset, the file's name may.
            best = next((name for name in names if is_published(name)), names[-1])
            read.dataset, read.split = dataset_of(best)
            read.model = read.model or model_of(path.name)
            return read
    raise NoOutputsError("it has no recorded outputs")


def _files(folder: Path, pattern: str | None) -> Iterator[tuple[Path, str]]:
    """Yield each file under a folder with the reason why it is not to be read; the reason is empty for the others."""
    is_run = (folder / RECORDS).is_file()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = file.name
        if file.parent != folder:
            below = file.relative_to(folder).parts[0]
            reason = f"it lies in a folder below; name that as replay:{folder / below}"
        elif is_run and name != RECORDS:
            reason = f"the folder is a run's, of which {RECORDS} counts"
        elif pattern is not None and not fnmatch(name, pattern):
            reason = f"its name does not match files={pattern}"
        elif name.startswith("."):
            reason = "a hidden file"
        elif file.suffix.lower() not in SUFFIXES:
            reason = f"no format of outputs (those are {', '.join(SUFFIXES)})"
        else:
            reason = ""
        if not (is_run and file.parent == folder and name in _OF_A_RUN):
            yield file, reason


def _nothing_read(folder: Path, pattern: str | None, unread: list[LeftOut]) -> str:
    """Say what was found instead: the first files with their reasons, or what is expected."""
    if pattern is not None and not any(fnmatch(entry.entry, pattern) for entry in unread):
        return f"no file matches files={pattern}"
    expected = (
        f"expected {RECORDS}, files named as the data files (koniq.json, llvisionqa_dev.json), samples_*.jsonl, "
        ".eval logs or result tables"
    )
    if folders := list(dict.fromkeys(entry.entry.partition("/")[0] for entry in unread if "/" in entry.entry)):
        expected += f"; the files of its folders are not read: name one, such as replay:{folder / folders[0]}"
    here = [entry for entry in unread if "/" not in entry.entry]
    more = f" ({len(here) - 1} more files)" if len(here) > 1 else ""
    return f"{here[0].entry} was {here[0].reason}{more}; {expected}" if here else expected


def _check_one_model(found: RecordedOutputs) -> None:
    """Refuse the outputs of two models: which of them is measured must not depend on their names."""
    models: dict[str, OutputFile] = {}
    for file in found.files:
        if file.model is not None:
            models.setdefault(file.model, file)
    if len(models) > 1:
        (one, first), (other, second), *_ = models.items()
        raise ModelError(
            f"replay:{found.place}: holds outputs of {len(models)} models, {one} ({first.name}) and {other} "
            f"({second.name}); choose one with --qbench-model-arg=files={_pattern(first)} or name its file"
        )


def _pattern(file: OutputFile) -> str:
    model = model_of(file.name)
    return f"'{model}_[QA]-*'" if model else file.name


def _check_one_run(found: RecordedOutputs) -> None:
    """Refuse the logs of two runs on the same data."""
    runs: dict[tuple[str | None, str | None], OutputFile] = {}
    for file in found.files:
        if file.run is None:
            continue
        first = runs.setdefault((file.dataset, file.split), file)
        if first.run != file.run:
            raise ModelError(
                f"replay:{found.place}: holds two runs on the same data, {first.name} and {file.name}; choose one "
                f"with --qbench-model-arg=files={file.name} or name its file"
            )
