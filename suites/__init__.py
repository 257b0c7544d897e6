"""The suites. Copy them, or run them unchanged with ``pytest --pyargs pytest_qbench.suites``."""
