"""A finished run shown: terminal, page, Markdown, JUnit, item table, history, comparison."""
