"""Why two models differ: the first stage that departs, from the file's bytes to the judge."""
