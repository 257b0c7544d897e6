"""One file -> rows, a module per format."""
