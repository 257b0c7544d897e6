"""Read untrusted input: within limits of size and depth, and checked against an expected shape."""
