"""Judges that grade descriptions: language models with a rubric, or the embedded word list."""
