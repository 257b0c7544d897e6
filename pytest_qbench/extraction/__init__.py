"""The option that a free-text reply names."""
