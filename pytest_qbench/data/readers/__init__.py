"""Read one file as rows, one module per format."""
