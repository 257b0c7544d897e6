"""Reports of a finished run: terminal, page, Markdown, JUnit, item table, history, comparison."""
