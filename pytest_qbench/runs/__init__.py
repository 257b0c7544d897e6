"""Run folders on disk: records, journal, items and summary."""
