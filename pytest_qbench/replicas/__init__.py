"""One local model as replicas on a Ray cluster."""
