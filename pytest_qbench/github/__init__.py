"""A finished run on GitHub: one comment on the pull request, annotations, and a check with a conclusion."""
