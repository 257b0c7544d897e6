"""Checks of a model (conformance) and of the gates (fault injection)."""
