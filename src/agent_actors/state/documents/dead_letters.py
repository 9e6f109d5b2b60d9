"""The documents of the DeadLetterActor."""

from dataclasses import dataclass

from agent_actors.protocol.dead_letters import Envelope

LETTERS = 64
"""Largest number of dead letters on a page."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter. `page` is the number of the page that lists it; `at` is in epoch seconds."""

    topic: str
    reason: str
    tries: int
    at: float
    page: int
    envelope: Envelope
    v: int = 1


@dataclass(frozen=True, slots=True)
class ListedLetter:
    """A dead letter as its page lists it."""

    letter_id: str
    at: float


@dataclass(frozen=True, slots=True)
class LetterPage:
    """Dead letters, oldest first; an empty page is not stored."""

    v: int = 1
    letters: tuple[ListedLetter, ...] = ()


@dataclass(frozen=True, slots=True)
class LetterIndex:
    """The pages of dead letters, `first` to `last`, and how many letters they list."""

    v: int = 1
    first: int = 0
    last: int = 0
    count: int = 0
