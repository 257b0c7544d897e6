"""Records -> metrics, and the conditions under which the records were made."""
