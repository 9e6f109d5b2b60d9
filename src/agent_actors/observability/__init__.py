"""Metrics, logs and traces of the process."""
