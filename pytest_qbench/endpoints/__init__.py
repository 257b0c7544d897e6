"""Asynchronous client for OpenAI-compatible endpoints, shared by models and judges."""
