"""Readers of recorded outputs, one a format."""
