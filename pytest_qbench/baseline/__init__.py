"""The stored records and metrics of an accepted model."""
