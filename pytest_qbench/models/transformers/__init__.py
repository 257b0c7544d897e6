"""Local models by the transformers library."""
