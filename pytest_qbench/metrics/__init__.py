"""Records -> metrics, and the conditions of a run, which decide whether its metrics can be compared."""
