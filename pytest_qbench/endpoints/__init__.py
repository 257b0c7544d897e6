"""OpenAI-compatible endpoints: one asynchronous client, used by the model backend and by judges."""
