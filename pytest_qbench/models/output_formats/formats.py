"""The formats of recorded outputs; the first that recognises a file reads it."""

from __future__ import annotations

from pytest_qbench.models.output_formats.base import OutputFormat
from pytest_qbench.models.output_formats.entries import Entries
from pytest_qbench.models.output_formats.inspect_ai import InspectLogs
from pytest_qbench.models.output_formats.run_records import RunRecords
from pytest_qbench.models.output_formats.samples import SampleLogs

#: `Entries` comes last: it takes any file whose entries name an item and hold an answer.
FORMATS: tuple[OutputFormat, ...] = (RunRecords(), SampleLogs(), InspectLogs(), Entries())
SUFFIXES = tuple(dict.fromkeys(suffix for one in FORMATS for suffix in one.suffixes))
