"""The rules of a project's gates over time: what became weaker since a commit, and whether somebody wrote why."""
