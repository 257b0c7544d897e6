"""Measure items with a model: items -> batches -> responses -> records."""
