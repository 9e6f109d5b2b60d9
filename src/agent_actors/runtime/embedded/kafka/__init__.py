"""Kafka input bindings of the embedded runtime."""
