"""Input from outside, read within limits and compared with the shape it should have."""
