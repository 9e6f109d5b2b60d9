"""`agent-actors doctor`: is everything there that the service needs, and if not, what to do?

`checks` lists the checks of each runtime and runs them in order; each other module is one part of
the service, and its `check_…` functions return findings. Checks only read: the data folder is read
without taking its lock, and actors are called by an id that no conversation can have.
"""
