"""Local models, loaded with the transformers library."""
