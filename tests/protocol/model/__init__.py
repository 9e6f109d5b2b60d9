"""A model of the turn protocol (docs/protocol.md), small enough to try almost everything.

`tests/protocol` lets faults loose on the real actors. This package lets them loose on the *design*:
the actors are rewritten here in a few lines each, as generators, so that a schedule costs a few
milliseconds and every step of it can be chosen. A change of the protocol is tried here first.

| module | holds |
|---|---|
| `steps` | coroutines that are moved one step at a time |
| `documents` | what the actors store and send |
| `world`, `process` | two processes, their sidecars, the store, the scheduler, the broker |
| `activation` | what every actor needs: cache, save, call |
| `chat`, `response`, `consumers` | the actors |
| `readers`, `callers` | everyone else |
| `notes`, `verify` | what the world saw, and what must hold when it is at rest |
| `mutations` | the mechanisms that can be switched off, and what must notice |
| `faults` | what goes wrong with operations |
| `schedule`, `stories` | random schedules, and every single fault of short stories |

`python -m tests.protocol.model --help` runs it.
"""
