"""`runtime.DeadLetters` on DeadLetterActor, for a runtime that cannot keep letters itself."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic_core import from_json, to_json

from agent_actors.clock import Clock
from agent_actors.protocol import dead_letters, wire
from agent_actors.protocol.clients import DeadLetterClient
from agent_actors.protocol.dead_letters import (
    DeadLetter,
    Envelope,
    ForgetDeadLetter,
    KeepDeadLetter,
    Redeliver,
)
from agent_actors.protocol.ids import ActorRef
from agent_actors.state import slots
from agent_actors.state.documents.dead_letters import Letter, LetterIndex, LetterPage, ListedLetter
from agent_actors.state.slots import Slot
from agent_actors.state.store import StateStore

D = TypeVar("D")

LARGEST = 4 * 1024 * 1024
"""The bytes of the longest event that is kept whole; a sidecar limits documents."""
BEGINNING = 64 * 1024
"""The bytes that are kept of a longer event."""
SHOWN = 4 * 1024 * 1024
"""The bytes of events after which a list ends."""
BATCH = 4
"""The letters that are read at once; each may be as long as an event."""
PAGES = 16
"""The pages that are read at once; they are short."""


@dataclass(frozen=True, slots=True)
class ActorDeadLetters:
    """Keeps letters in turns of the actor, and reads them without a turn (I9).

    A letter is not listed any more after `age` seconds. Every method raises `Unavailable` if the
    store or the actor is unavailable.
    """

    client: DeadLetterClient
    store: StateStore
    redeliver: Redeliver
    clock: Clock
    age: float

    async def keep(self, topic: str, event: bytes, reason: str, tries: int) -> str:
        """Keeps an event (the bytes of its envelope), once, and returns the letter's id.

        Of an event with more than `LARGEST` bytes, only the ids and the beginning are kept.
        """
        if len(event) > LARGEST:
            reason, event = f"{reason} ({len(event)} bytes, cut)", _cut(event)
        return await self.client.keep(KeepDeadLetter(topic, reason, tries, Envelope.of(event)))

    async def list(self, limit: int) -> Sequence[DeadLetter]:
        """The newest letters, newest first; fewer if some are forgotten or very long."""
        listed = await self._newest(limit)
        shown: list[DeadLetter] = []
        size = 0
        for start in range(0, len(listed), BATCH):
            ids = [each.letter_id for each in listed[start : start + BATCH]]
            read = await asyncio.gather(*(self._read(slots.letter(each)) for each in ids))
            pairs = zip(ids, read, strict=True)
            shown += [_shown(letter_id, letter) for letter_id, letter in pairs if letter]
            size += sum(len(letter.envelope.data) for letter in read if letter)
            if size > SHOWN:
                break
        return shown

    async def find(self, which: Callable[[Any], bool]) -> AsyncIterator[DeadLetter]:
        """The letters whose event, as it is shown, matches `which`; oldest page first."""
        index = await self._read(slots.LETTERS) or LetterIndex()
        for number in range(index.first, index.last + 1):
            for listed in await self._listed([number]):
                letter = await self._read(slots.letter(listed.letter_id))
                if letter is not None and which(_shown(listed.letter_id, letter).event):
                    yield _shown(listed.letter_id, letter)

    async def forget(self, letter_id: str) -> None:
        """Removes a letter, if it is there."""
        letter = await self._letter(letter_id)
        if letter is not None:
            await self.client.forget(ForgetDeadLetter(letter_id, letter.page))

    async def requeue(self, letter_id: str) -> DeadLetter | None:
        """Delivers a letter again, once and now, and forgets it if that succeeds.

        Returns:
            The letter, or None if there is none with this id.

        Raises:
            Conflict: It failed again, as the text explains; the letter is still there.
        """
        letter = await self._letter(letter_id)
        if letter is None:
            return None
        await self.redeliver(letter.topic, letter.envelope.event)
        await self.client.forget(ForgetDeadLetter(letter_id, letter.page))
        return _shown(letter_id, letter)

    async def _letter(self, letter_id: str) -> Letter | None:
        return await self._read(slots.letter(letter_id)) if dead_letters.is_id(letter_id) else None

    async def _newest(self, limit: int) -> Sequence[ListedLetter]:
        """The listed letters, newest first, down to the first that is too old."""
        index = await self._read(slots.LETTERS) or LetterIndex()
        oldest = self.clock.now().timestamp() - self.age
        found: list[ListedLetter] = []
        last = index.last
        while last >= index.first and len(found) < min(limit, index.count):
            first = max(index.first, last - PAGES + 1)
            listed = await self._listed(range(last, first - 1, -1))
            fresh = [each for each in listed if each.at > oldest]
            found += fresh
            if len(fresh) < len(listed):
                break
            last = first - 1
        return found[:limit]

    async def _listed(self, numbers: Sequence[int]) -> Sequence[ListedLetter]:
        """The letters that these pages list, the newest of each page first."""
        pages = await asyncio.gather(*(self._read(slots.letter_page(each)) for each in numbers))
        there = (page or LetterPage() for page in pages)
        return [each for page in there for each in reversed(page.letters)]

    async def _read(self, slot: Slot[D]) -> D | None:
        return await self.store.read(ActorRef(wire.LETTERS, wire.LETTERS_ID), slot)


def _shown(letter_id: str, letter: Letter) -> DeadLetter:
    event = letter.envelope.event
    return dead_letters.shown(
        letter_id, letter.topic, letter.reason, letter.tries, letter.at, event
    )


def _cut(event: bytes) -> bytes:
    """What is kept of an event that is too long: its ids, the names in it, and its beginning."""
    try:
        envelope = from_json(event)
    except ValueError:
        envelope = None
    fields = envelope if isinstance(envelope, dict) else {}
    ids = {name: str(fields[name])[:1024] for name in ("id", "source", "type") if name in fields}
    # Whoever forgets the user has to find the letter.
    names = {name: value[:128] for name, value in dead_letters.names(envelope).items()}
    digest = hashlib.sha256(event).hexdigest()
    begins = event[:BEGINNING].decode(errors="replace")
    return to_json({**ids, "data": names, "sha256": digest, "begins": begins})
