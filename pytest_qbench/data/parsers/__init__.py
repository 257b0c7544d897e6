"""One entry of a file -> one item, a module per task."""
