"""Items -> batches -> responses -> records."""
