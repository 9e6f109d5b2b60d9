"""`runtime.DeadLetters` over DeadLetterActor, for a runtime that has no place of its own."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from agent_actors import contracts, letters, slots
from agent_actors.clients import DeadLetterClient
from agent_actors.clock import Clock
from agent_actors.documents import Letter, LetterIndex, LetterPage, Listed
from agent_actors.letters import Redeliver
from agent_actors.messages import DeadLetter, Envelope, ForgetLetter, KeepLetter
from agent_actors.slots import Slot, Store

D = TypeVar("D")

BATCH = 4
"""Letters that are read at once; each may be as long as an event."""
PAGES = 16
"""Pages that are read at once; they are short."""


class ActorDeadLetters:
    """Keeps by turns of the actor; shows what is saved, without a turn (I9).

    Args:
        client: Calls the actor.
        store: Where it keeps its state.
        redeliver: How a letter is delivered again.
        clock: The time.
        age: Seconds after which a letter is not shown any more.

    Every method raises `Unavailable` when the store or the actor is away.
    """

    def __init__(
        self,
        client: DeadLetterClient,
        store: Store,
        redeliver: Redeliver,
        clock: Clock,
        age: float,
    ) -> None:
        self._client = client
        self._store = store
        self._redeliver = redeliver
        self._clock = clock
        self._age = age

    async def keep(self, topic: str, event: bytes, reason: str, tries: int) -> str:
        """Keeps an envelope (JSON bytes) and returns its id; the same envelope is kept once.

        Raises:
            TryLater: The actor or its store is away; whether it was kept is not known.
        """
        return await self._client.keep(KeepLetter(topic, reason, tries, Envelope.of(event)))

    async def list(self, limit: int) -> Sequence[DeadLetter]:
        """The newest letters, newest first; fewer where some are forgotten meanwhile."""
        listed = await self._newest(limit)
        shown: list[DeadLetter] = []
        for start in range(0, len(listed), BATCH):
            ids = [each.letter_id for each in listed[start : start + BATCH]]
            read = await asyncio.gather(*(self._read(slots.letter(each)) for each in ids))
            pairs = zip(ids, read, strict=True)
            shown += [_shown(letter_id, letter) for letter_id, letter in pairs if letter]
        return shown

    async def requeue(self, letter_id: str) -> DeadLetter | None:
        """Delivers a letter again, once and now, and forgets it if that succeeds.

        Returns:
            The letter, or None where there is none of that id.

        Raises:
            Conflict: It failed again; the text says how, and the letter is still there.
        """
        letter = await self._read(slots.letter(letter_id)) if letters.is_id(letter_id) else None
        if letter is None:
            return None
        await self._redeliver(letter.topic, letter.envelope.event)
        await self._client.forget(ForgetLetter(letter_id, letter.page))
        return _shown(letter_id, letter)

    async def _newest(self, limit: int) -> Sequence[Listed]:
        """What the pages list, from the newest, down to the first that is too old."""
        index = await self._read(slots.LETTERS) or LetterIndex()
        oldest = self._clock.now().timestamp() - self._age
        found: list[Listed] = []
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

    async def _listed(self, numbers: Sequence[int]) -> Sequence[Listed]:
        """The letters of these pages, each page's newest first."""
        pages = await asyncio.gather(*(self._read(slots.letter_page(each)) for each in numbers))
        there = (page or LetterPage() for page in pages)
        return [each for page in there for each in reversed(page.letters)]

    async def _read(self, slot: Slot[D]) -> D | None:
        return await self._store.read(contracts.LETTERS, contracts.LETTERS_ID, slot)


def _shown(letter_id: str, letter: Letter) -> DeadLetter:
    event = letter.envelope.event
    return letters.shown(letter_id, letter.topic, letter.reason, letter.tries, letter.at, event)
