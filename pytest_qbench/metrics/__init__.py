"""Records -> metrics."""
