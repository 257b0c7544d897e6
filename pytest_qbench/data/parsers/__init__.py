"""Parse one entry of a file as an item, one module per task."""
