"""One record of a benchmark file, with typed access to its fields."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_qbench.errors import DataError
from pytest_qbench.items import ImageSource
from pytest_qbench.untrusted.shape import short_repr


@dataclass(slots=True)
class Row:
    """A record: `file` and `number` (from 1) give its position, and `line` (from 1) in a table.

    `images` are the images that the format embeds (parquet, base64); without any, the record names files. `content` is
    a hash of these images. `aliases` are further ids of the record besides the one in its fields.
    """

    file: str
    number: int
    fields: Mapping[str, object]
    images: tuple[ImageSource, ...] = ()
    content: str | None = None
    aliases: tuple[str, ...] = ()
    line: int | None = None

    @property
    def place(self) -> str:
        """File, entry and line, for messages."""
        return f"{self.file}: entry {self.number}" + ("" if self.line is None else f" (line {self.line})")

    def error(self, problem: str, remedy: str) -> DataError:
        """Return the error that names file, record, problem and remedy in one line."""
        return DataError(_one_line(f"{self.place}: {problem}; {remedy}"))

    def value(self, key: str) -> object | None:
        """Return a field, or None where it is absent, null, NaN or blank."""
        value = self.fields.get(key)
        if isinstance(value, str):
            return value if value and not value.isspace() else None
        if isinstance(value, float) and math.isnan(value):
            return None
        return value

    def text(self, key: str) -> str | None:
        """Return a field's text without surrounding blanks, or None where it has none. Raises `DataError`."""
        value = self.value(key)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # a column of whole numbers with empty cells holds floats
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.error(f"{key} is {short_repr(value)}, not text", "write it as a string")
        return self.clean(str(value), key)

    def label(self, key: str) -> str | None:
        """Return a field that is a text or a finite number as text, such as "2" or "0.5"; None where it is absent."""
        value = self.value(key)
        if isinstance(value, float) and math.isfinite(value):
            return f"{value:g}"
        return self.text(key)

    def clean(self, text: str, key: str) -> str:
        """Return `text` without surrounding blanks; raises `DataError` for text that cannot be written as UTF-8."""
        text = text.strip()
        try:
            text.encode()
        except UnicodeEncodeError as e:
            raise self.error(
                f"{key} is {short_repr(text)}, which is not valid Unicode", "export the file as UTF-8"
            ) from e
        return text

    def texts(self, key: str) -> list[str] | None:
        """Return a field that is one text or a list of texts; None where it is absent or empty."""
        value = self.value(key)
        if isinstance(value, list | tuple):
            if not all(isinstance(one, str) for one in value):
                raise self.error(f"{key} is {short_repr(value)}, not a list of texts", "write strings")
            return [self.clean(one, key) for one in value] or None
        text = self.text(key)
        return None if text is None else [text]

    def number_at(self, key: str) -> float | None:
        """Return a field that is a finite number, or a text of one with blanks around it; None where it is absent."""
        value = self.value(key)
        if value is None:
            return None
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            try:
                number = math.nan if isinstance(value, str) and "_" in value else float(value)
            except (ValueError, OverflowError):
                number = math.nan
            if math.isfinite(number):
                return number
        has_comma = isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d+,\d+\s*", value) is not None
        remedy = "write a point instead of the comma" if has_comma else "correct it or remove the entry"
        raise self.error(f"{key} {short_repr(value)} is not a finite number", remedy)


def _one_line(text: str) -> str:
    return " ".join(text.split())
