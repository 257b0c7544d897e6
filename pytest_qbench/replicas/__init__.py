"""Replicas of one local model on a Ray cluster."""
