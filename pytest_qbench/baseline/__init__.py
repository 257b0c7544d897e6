"""Baselines: the stored records and metrics of an accepted model."""
