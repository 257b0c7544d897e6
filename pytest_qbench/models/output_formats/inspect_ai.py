"""Logs of inspect_ai: an `.eval` file is a zip with one JSON file a sample, a `.json` log holds the same in one object.

A log of a run that was killed has no `header.json`; the task and the model then stand in `_journal/start.json`. Logs
since April 2026 are compressed with Zstandard, which Python reads itself from 3.14 on.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, ZipInfo

from pytest_qbench.endpoints.finish_reasons import is_cut
from pytest_qbench.errors import DataError, ModelError
from pytest_qbench.models.output_formats.base import (
    NoOutputsError,
    Output,
    OutputFile,
    RawFile,
    ReadingOptions,
    finished,
    mapping,
    reply,
    writable,
)
from pytest_qbench.models.output_formats.samples import in_prompt
from pytest_qbench.untrusted.archives import check_archive
from pytest_qbench.untrusted.files import open_regular
from pytest_qbench.untrusted.parsing import check_depth, unique_pairs
from pytest_qbench.untrusted.shape import short_repr

_ZSTANDARD = 93
_HEADERS = ("header.json", "_journal/start.json", "start.json")
_IMAGES = ("img_path", "image_path", "image", "image_name", "filename")


class InspectLogs:
    """Reads `.eval` and `.json` logs."""

    suffixes = (".eval", ".json")

    def read(self, file: RawFile, options: ReadingOptions) -> OutputFile | None:
        """Return the outputs of the samples, in order; None for JSON that is no log."""
        path = file.path
        if file.suffix == ".eval":
            header, samples = _read_zip(path)
        elif len(file.rows) == 1 and mapping(file.rows[0].fields.get("eval")) and "samples" in file.rows[0].fields:
            header, samples = file.rows[0].fields, file.rows[0].fields["samples"]
        else:
            return None
        spec = mapping(header.get("eval"))
        if not isinstance(samples, list) or not samples:
            raise NoOutputsError("a log without samples")
        outputs = [_output(f"{path.name}: entry {number}", number, sample) for number, sample in enumerate(samples, 1)]
        task, model, run = (_text(spec.get(key)) for key in ("task", "model", "run_id"))
        return OutputFile(path, outputs, dataset=task and task.rpartition("/")[2], model=model, run=run)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _output(place: str, number: int, sample: object) -> Output:
    fields = mapping(sample)
    if not isinstance(fields.get("id"), str | int):
        raise DataError(f"{place}: no sample with an id; export the log again")
    attachments, metadata, answer = (mapping(fields.get(key)) for key in ("attachments", "metadata", "output"))
    choices = fields.get("choices")
    prompt, shown_images = _input(fields.get("input"), attachments)
    question, listed = in_prompt(prompt) if prompt else (None, ())
    images = next(((image,) for name in _IMAGES if (image := _text(metadata.get(name)))), shown_images)
    options = tuple(str(one).strip() for one in choices) if isinstance(choices, list) else listed
    named = Output(number, (str(fields["id"]),), images, question, options)
    text, reason = _completion(answer, attachments), _first_choice(answer).get("stop_reason")
    if error := mapping(fields.get("error")):
        return replace(named, error=f"{place}: recorded as an error: {error.get('message')}")
    if text is None and is_cut(reason):  # all tokens were reasoning
        text = ""
    if text is None:
        return replace(named, error=f"{place}: no completion; run this sample again")
    if not writable(text):
        return replace(named, error=f"{place}: the completion {short_repr(text)} is not valid Unicode")
    return finished(replace(named, text=reply(text)), place, reason)


def _input(value: object, attachments: Mapping[Any, Any]) -> tuple[str, tuple[str, ...]]:
    """Return the text of a sample's input and the names of its images; pictures in base64 have none."""
    if isinstance(value, str):
        return _resolved(value, attachments), ()
    asked: list[str] = []
    images: list[str] = []
    for message in map(mapping, value if isinstance(value, list) else []):
        if message.get("role") != "user":
            continue
        content = message.get("content")
        for part in map(mapping, content if isinstance(content, list) else [{"type": "text", "text": content}]):
            text, image = _text(part.get("text")), _text(part.get("image"))
            if part.get("type") == "text" and text:
                asked.append(_resolved(text, attachments))
            if part.get("type") == "image" and image and not image.startswith(("data:", "attachment:")):
                images.append(image)
    return "\n".join(asked), tuple(images)


def _resolved(text: str, attachments: Mapping[Any, Any]) -> str:
    """Return a text, or the attachment that it refers to."""
    name = text.removeprefix("attachment://")
    return text if name == text else _text(attachments.get(name)) or text


def _completion(output: Mapping[Any, Any], attachments: Mapping[Any, Any]) -> str | None:
    """Return the text of the first choice, without its reasoning."""
    if completion := _text(output.get("completion")):
        return _resolved(completion, attachments)
    content = mapping(_first_choice(output).get("message")).get("content")
    if isinstance(content, list):
        parts = [_text(part.get("text")) for part in map(mapping, content) if part.get("type") == "text"]
        content = "\n".join(part for part in parts if part)
    return _resolved(content, attachments) if isinstance(content, str) else None


def _first_choice(output: Mapping[Any, Any]) -> Mapping[Any, Any]:
    choices = output.get("choices")
    return mapping(choices[0]) if isinstance(choices, list) and choices else {}


def _read_zip(path: Path) -> tuple[Mapping[Any, Any], object]:
    """Return the header and the samples of an `.eval` file; of a sample that was written twice, the last counts."""
    try:
        check_archive(path)
        with os.fdopen(open_regular(path), "rb") as file, ZipFile(file) as archive:
            names = list(dict.fromkeys(archive.namelist()))
            header = next((_json(archive, name, path.name) for name in _HEADERS if name in names), None)
            members = [name for name in names if name.startswith("samples/") and name.endswith(".json")]
            samples = [_json(archive, name, path.name) for name in members]
    except (OSError, ValueError, BadZipFile, struct.error, zlib.error, EOFError) as e:
        raise DataError(f"{path.name}: no zip file that can be read ({e}); copy the log again") from e
    return mapping(header), samples


def _json(archive: ZipFile, name: str, label: str) -> Any:
    info = archive.getinfo(name)
    try:
        content = _unpacked(archive, info, label) if info.compress_type == _ZSTANDARD else archive.read(info)
        value = json.loads(content, object_pairs_hook=unique_pairs)  # not stricter: scores may be NaN
        check_depth(value)
    except (ValueError, NotImplementedError, RuntimeError) as e:
        raise DataError(f"{label}: {name} cannot be read ({e}); copy the log again") from e
    return value


def _unpacked(archive: ZipFile, info: ZipInfo, label: str) -> bytes:
    """Return a member that is compressed with Zstandard."""
    try:
        import pyarrow
    except ImportError as e:
        raise ModelError(
            f"{label}: is compressed with Zstandard, which needs pyarrow; pip install 'pytest-qbench[hub]', or "
            "`inspect log convert --to json`"
        ) from e
    file = archive.fp
    assert file is not None
    file.seek(info.header_offset)
    lengths = struct.unpack("<26xHH", file.read(30))
    file.seek(sum(lengths), 1)
    packed = file.read(info.compress_size)
    content: bytes = pyarrow.CompressedInputStream(pyarrow.BufferReader(packed), "zstd").read(info.file_size)
    if zlib.crc32(content) != info.CRC:
        raise BadZipFile(f"bad CRC-32 for {info.filename}")
    return content
