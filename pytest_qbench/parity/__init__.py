"""Parity: whether two ways to run a model give the same answers, item by item."""
