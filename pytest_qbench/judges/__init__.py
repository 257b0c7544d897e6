"""Judges score descriptions: language models by a rubric, or the embedded word list."""
