"""DeadLetterActor: keeps events that could not be applied, limited in number and age.

Each letter has its own document and is listed on a page, so its cost depends on its size and not on
the number of letters (I7). A letter is listed on exactly one page. If a forgotten letter stayed on
its old page and the same event was kept again, trimming the old page would delete the new letter.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.protocol import dead_letters
from agent_actors.protocol.dead_letters import ForgetDeadLetter, KeepDeadLetter, LetterLimits
from agent_actors.protocol.interfaces import DeadLetterInterface
from agent_actors.state import slots
from agent_actors.state.cache import ActorState
from agent_actors.state.documents.dead_letters import (
    LETTERS,
    Letter,
    LetterIndex,
    LetterPage,
    ListedLetter,
)
from agent_actors.state.store import Changes
from agent_actors.turns.actor import Host, TurnActor, turn

log = logging.getLogger(__name__)


class DeadLetterActor(TurnActor, DeadLetterInterface):
    """The one actor that keeps dead letters."""

    def __init__(
        self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host, limits: LetterLimits
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self._limits = limits

    @turn
    async def keep(self, request: KeepDeadLetter) -> str:
        """Keeps an event once, and forgets the oldest letters over the limits; the letter's id.

        At most one page of letters is forgotten at a time.
        """
        letter_id = dead_letters.id_of(request.topic, request.envelope.event)
        now = self.clock.now().timestamp()
        draft = await self._draft()
        former = await self.state.load(slots.letter(letter_id))
        if former is not None:
            if former.at > now - self._limits.age:
                return letter_id
            await draft.remove(former.page, lambda listed: listed.letter_id == letter_id)
        await draft.add(letter_id, request, now)
        gone = await draft.trim(self._limits.number, now - self._limits.age)
        await self.state.save(draft.changes)
        if gone:
            log.warning("forgot dead letters over the limits: %s", ", ".join(gone))
        return letter_id

    @turn
    async def forget(self, request: ForgetDeadLetter) -> None:
        """Removes a letter; saves nothing if the letter is not on that page."""
        draft = await self._draft()
        if await draft.remove(request.page, lambda listed: listed.letter_id == request.letter_id):
            await self.state.save(draft.changes)

    async def _draft(self) -> "_Draft":
        return _Draft(self.state, await self.state.load(slots.LETTERS) or LetterIndex())


class _Draft:
    """Changes to the letters and their pages; nothing is visible until `changes` are saved."""

    def __init__(self, state: ActorState, index: LetterIndex) -> None:
        self._state = state
        self._index = index
        self._pages: dict[int, LetterPage] = {}
        self._letters: dict[str, Letter | None] = {}

    @property
    def changes(self) -> Changes:
        """What to save, in one transaction."""
        pages = {
            slots.letter_page(number): page if page.letters else None
            for number, page in self._pages.items()
        }
        changed = {slots.letter(letter_id): each for letter_id, each in self._letters.items()}
        return {slots.LETTERS: self._index, **pages, **changed}

    async def add(self, letter_id: str, request: KeepDeadLetter, at: float) -> None:
        """Adds a letter to the last page, or starts a new page with it."""
        index = self._index
        page = await self._page(index.last)
        if len(page.letters) >= LETTERS:
            index, page = replace(index, last=index.last + 1), LetterPage()
        self._letters[letter_id] = Letter(
            request.topic, request.reason, request.tries, at, index.last, request.envelope
        )
        self._pages[index.last] = LetterPage(letters=(*page.letters, ListedLetter(letter_id, at)))
        self._index = replace(index, count=index.count + 1)

    async def trim(self, number: int, oldest: float) -> list[str]:
        """Removes the letters over the limits from the first page, and moves on if it is empty.

        Call this after `add`. Returns the ids of the removed letters.
        """
        first = self._index.first
        page = await self._page(first)
        over = {listed.letter_id for listed in page.letters[: max(self._index.count - number, 0)]}
        gone = await self.remove(
            first, lambda listed: listed.letter_id in over or listed.at <= oldest
        )
        # This is never the last page: that one has the letter which was just added.
        if len(gone) == len(page.letters):
            self._index = replace(self._index, first=first + 1)
        return gone

    async def remove(self, number: int, which: Callable[[ListedLetter], bool]) -> list[str]:
        """Removes letters from a page; returns their ids."""
        page = await self._page(number)
        gone = [listed.letter_id for listed in page.letters if which(listed)]
        if gone:
            rest = tuple(listed for listed in page.letters if not which(listed))
            self._pages[number] = replace(page, letters=rest)
            self._index = replace(self._index, count=self._index.count - len(gone))
            self._letters |= dict.fromkeys(gone)
        return gone

    async def _page(self, number: int) -> LetterPage:
        if number in self._pages:
            return self._pages[number]
        return await self._state.load(slots.letter_page(number)) or LetterPage()
