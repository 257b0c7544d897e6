"""Gates: from a paired comparison to a verdict, its reason, and the power that a number of items gives."""
