"""Turns: the base of every actor, its lock, and the record of live activations."""
