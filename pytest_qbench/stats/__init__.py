"""Statistics of proportions, scores and correlations: intervals, paired tests, power. Pure functions."""
