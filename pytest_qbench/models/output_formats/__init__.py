"""Readers of recorded outputs, one per format."""

from pytest_qbench.models.output_formats.base import (
    NoOutputsError,
    Output,
    OutputFile,
    OutputFormat,
    RawFile,
    ReadingOptions,
)
from pytest_qbench.models.output_formats.formats import FORMATS, SUFFIXES

__all__ = ["FORMATS", "SUFFIXES", "NoOutputsError", "Output", "OutputFile", "OutputFormat", "RawFile", "ReadingOptions"]
