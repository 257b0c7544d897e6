"""Find where an entry stands in its file, for error messages. It reads the file again, as errors are rare."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from pytest_qbench.models.output_formats.base import Output, OutputFile
from pytest_qbench.untrusted.files import LARGE, read_bytes

_BETWEEN = re.compile(r"[\s,\[\]]*")


def place(file: OutputFile, output: Output) -> str:
    """Return file, entry and line of an output, for an error."""
    line = line_of(file.path, output.number)
    entry = f"{file.name}: entry {output.number}"
    return entry if line is None else f"{entry} (line {line})"


def line_of(path: Path, number: int) -> int | None:
    """Return the line, from 1, in which entry `number` of a file begins; None for a file without lines."""
    if path.suffix.lower() == ".xlsx":
        return number + 1
    lines = _lines(path)
    return lines[number - 1] if 0 < number <= len(lines) else None


@lru_cache(maxsize=8)
def _lines(path: Path) -> tuple[int, ...]:
    """Return the line of each entry."""
    suffix = path.suffix.lower()
    try:
        if suffix in (".json", ".jsonl"):
            return tuple(_json_lines(read_bytes(path, LARGE).decode("utf-8-sig")))
        if suffix in (".csv", ".tsv"):
            return tuple(_table_lines(read_bytes(path, LARGE)))
    except (OSError, ValueError):  # the file has changed since: the message then has the entry's number instead
        return ()
    return ()


def _json_lines(text: str) -> Iterator[int]:
    """Yield the lines in which the objects of a JSON file begin, in an array or one after the other."""
    decoder = json.JSONDecoder()
    position, line, counted = 0, 1, 0
    while True:
        between = _BETWEEN.match(text, position)
        position = between.end() if between else position
        if position >= len(text):
            return
        line += text.count("\n", counted, position)
        counted = position
        _, position = decoder.raw_decode(text, position)
        yield line


def _table_lines(content: bytes) -> Iterator[int]:
    """Yield the lines in which the rows of a table begin, without its header and rows of blank cells.

    A quoted cell may span several lines.
    """
    quotes, start, is_header, blank = 0, 1, True, True
    for number, line in enumerate(content.split(b"\n"), 1):
        if quotes % 2 == 0:
            start, blank = number, not line.strip(b' \t\r,;"') and line.count(b'"') % 2 == 0
        quotes += line.count(b'"')
        if quotes % 2 == 0 and not blank:
            if not is_header:
                yield start
            is_header = False
