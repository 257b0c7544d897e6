"""Response -> record: the chosen option and the quality score."""
