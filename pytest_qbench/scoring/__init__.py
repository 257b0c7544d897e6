"""A response -> a record: the chosen option, the quality score."""
