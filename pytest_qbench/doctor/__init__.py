"""Checks of a model and of the gates: conformance and fault injection."""
