"""Gates: what they compare, how they decide, and what they can decide."""
