"""The suites: copy them, or run them as they are with ``pytest --pyargs pytest_qbench.suites``."""
