"""The real Dapr on this machine: its servers and a Redis, as child processes on loopback.

Read in this order: `binaries` (where the servers are), `child` (one process), `redis`, `plane`
(placement and scheduler), `sidecar`, and `local`, which starts one of each for `agent-actors dev`.
"""
