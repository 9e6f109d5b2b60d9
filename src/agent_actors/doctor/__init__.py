"""`agent-actors doctor`: is everything there that the service needs, and what is to be done?

A check looks and changes nothing: it reads a data folder without its lock, calls actors by an id
that no person can have, and sends one event that no consumer applies.
"""
