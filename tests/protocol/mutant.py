"""A change of the code that a test must notice."""

from dataclasses import dataclass

CHAT = "conversation/agent.py"
QUEUE = "conversation/queue.py"
CONSUMER = "users/consumer.py"
BASE = "conversation/base.py"
RECOVERY = "conversation/recovery.py"
DRAFT = "conversation/draft.py"
MEMORY = "users/memory.py"
SESSION = "users/session.py"
RESPONSE = "conversation/response.py"
CALLS = "model/calls.py"
TURNS = "turns/actor.py"
CACHE = "state/cache.py"
STORE = "state/store.py"
ACTIVATIONS = "turns/activations.py"
READER = "state/reader.py"
HISTORY = "state/history.py"
POSITION = "state/turn_position.py"
FORGETTING = "users/eraser.py"
EVENTS = "routes/sidecar/events.py"
CONTRACTS = "protocol/ids.py"


@dataclass(frozen=True, slots=True)
class Mutant:
    """A change of one file: each text occurs in it exactly once."""

    name: str
    row: str
    file: str
    edits: tuple[tuple[str, str], ...]


def mutant(name: str, row: str, file: str, *texts: str) -> Mutant:
    """A mutant whose edits are given as old, new and so on."""
    return Mutant(name, row, file, tuple(zip(texts[::2], texts[1::2], strict=True)))
