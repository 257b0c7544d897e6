"""A run folder on disk: records, journal, items, summary."""
