"""A real Dapr on this machine: its servers and a Redis, as child processes on loopback.

`binaries` finds the servers, `child` runs one process, and `server` one that listens on a port;
`redis`, `plane` (placement and scheduler) and `sidecar` are the servers, and `local` starts one of
each for `agent-actors dev`.
"""
