"""A change of the code that a test must notice."""

from dataclasses import dataclass

CHAT = "actors/chat.py"
CONSUMER = "actors/consumer.py"
CONVERSATION = "actors/conversation.py"
DRAFT = "actors/draft.py"
MEMORY = "actors/memory.py"
SESSION = "actors/session.py"
RESPONSE = "actors/response.py"
CALLS = "model/calls.py"
TURNS = "turns.py"
SLOTS = "slots.py"
SAVED = "saved.py"
FORGETTING = "forgetting.py"
EVENTS = "routes/events.py"
CONTRACTS = "contracts.py"


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
