"""Turns: the base of every actor, its lock, and the activation that may act."""
