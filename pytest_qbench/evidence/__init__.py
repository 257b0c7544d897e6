"""Evidence that travels: the signed files of a run, its suites and its baseline."""
