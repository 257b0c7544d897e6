"""Q-Bench as a pytest regression suite for vision-language models."""

__version__ = "0.1.0"
