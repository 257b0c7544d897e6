"""Finished runs in the formats of other tools. Each export carries the outcome and every missing item."""
