"""Notifications by SMS: the sending, outside every actor's turn.

What is sent is saved by then; what becomes of it is reported to the actor in a short turn. The
number is read right before each SMS: one that was withdrawn meanwhile gets none.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from agent_actors.background import Background
from agent_actors.clock import Clock
from agent_actors.errors import AgentError, Conflict, TryLater, Unavailable
from agent_actors.observability.counters import Counters
from agent_actors.protocol.clients import NotificationClient
from agent_actors.protocol.codec import adapter, encode
from agent_actors.protocol.notifications import (
    NotificationReport,
    NotificationStatus,
    PhoneNumber,
    Sms,
)
from agent_actors.runtime import DeadLetters
from agent_actors.state.reader import StateReader

log = logging.getLogger(__name__)

AT_ONCE = 8
"""SMS that are sent at the same time; those of one user go one after the other."""
TRIES = 4
"""Times that the actor is told what became of an SMS; then it stays unknown."""
PAUSE = 1.0
"""Seconds before it is told again; doubles each time."""
WITHDRAWN = "the number was withdrawn"
"""Why an SMS is not sent whose user has another number since, or none."""
SOURCE = "agent-actors"

Invoke = Callable[[str, str, Any, dict[str, str]], Awaitable[bytes]]
"""Has an output binding do something: its name, the operation, data and metadata."""


@dataclass(frozen=True, slots=True)
class SmsBinding:
    """What sends an SMS: an output binding, and how long it may take in seconds."""

    invoke: Invoke
    binding: str
    time: float = 10.0


class SmsSender:
    """Sends what NotificationActor has saved, and tells it what became of it.

    Args:
        carrier: What sends.
        actors: Keep what became of it.
        saved: The numbers.
        letters: Where what failed is kept.
        clock: The time.
        counters: Counts them; by default one that nobody reads.
    """

    def __init__(
        self,
        carrier: SmsBinding,
        actors: NotificationClient,
        reader: StateReader,
        letters: DeadLetters,
        clock: Clock,
        counters: Counters | None = None,
    ) -> None:
        self._counters = counters or Counters()
        self._carrier = carrier
        self._actors = actors
        self._reader = reader
        self._letters = letters
        self._clock = clock
        self._waiting: dict[str, deque[Sms]] = {}
        self._by_hand: set[str] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._tasks = Background("an SMS was not sent")

    @property
    def topic(self) -> str:
        """The topic of the dead letters."""
        return self._carrier.binding

    def send(self, texts: Sequence[Sms]) -> None:
        """Begins to send, and returns at once. A day's limit bounds what waits for a user."""
        for each in texts:
            waiting = self._waiting.get(each.user_id)
            if waiting is None:
                waiting = self._waiting[each.user_id] = deque()
                self._tasks.begin(self._serve(each.user_id, waiting))
            waiting.append(each)

    async def again(self, event: bytes) -> None:
        """Sends what a dead letter holds, to the number that its user has now.

        It returns as soon as that is sent: until the letter is forgotten, it could be sent twice.

        Raises:
            Conflict: It was not sent, or that is not known, or another call is sending it; the
                letter is still there.
        """
        sms = _held(event)
        if sms.id in self._by_hand:
            raise Conflict("The SMS is being sent right now.")
        self._by_hand.add(sms.id)
        try:
            await self._once_more(sms)
        finally:
            self._by_hand.discard(sms.id)

    async def drain(self) -> None:
        """Returns when nothing is being sent."""
        await self._tasks.drain()

    async def stop(self) -> None:
        """Ends what is being sent; what became of it stays unknown. Idempotent."""
        await self._tasks.stop()

    async def _once_more(self, sms: Sms) -> None:
        phone = await self._reader.phone(sms.user_id)
        if phone is None:
            raise Conflict("The user has no phone number any more; the letter is kept.")
        status, reason = await self._attempt(phone, sms)
        self._counters.sms_ended(status)
        if status == "sent":
            self._tasks.begin(self._report(sms, status))
            return
        # Waited for: reported later, it could come after a "sent" of the next call.
        await self._report(sms, status)
        raise Conflict(f"The SMS has failed again, and its letter is kept: {reason}.")

    async def _serve(self, user: str, waiting: deque[Sms]) -> None:
        try:
            while waiting:
                await self._one(waiting.popleft())
        finally:
            del self._waiting[user]

    async def _one(self, sms: Sms) -> None:
        status, reason = await self._first(sms)
        self._counters.sms_ended(status)
        if status == "sent":
            log.info("sms %s was sent", sms.id)
        else:
            log.warning("sms %s: %s, %s", sms.id, status, reason)
        if status == "failed":
            await self._bury(sms, reason)
        await self._report(sms, status)

    async def _first(self, sms: Sms) -> tuple[NotificationStatus, str]:
        """What became of an SMS, and why: to the number it was meant for, or to none."""
        async with self._at_once:
            try:
                phone = await self._reader.phone(sms.user_id)
            except AgentError as error:
                return "failed", f"the number could not be read ({error.title})"
            if phone is None or phone.since != sms.since:
                return "failed", WITHDRAWN
            return await self._attempt(phone, sms)

    async def _attempt(self, phone: PhoneNumber, sms: Sms) -> tuple[NotificationStatus, str]:
        """Sends it once. Where no answer came in time, nobody knows: it is not sent again."""
        carrier = self._carrier
        metadata = {"toNumber": phone.number}
        try:
            async with self._clock.timeout(carrier.time):
                await carrier.invoke(carrier.binding, "create", sms.text, metadata)
        except (TimeoutError, Unavailable):
            return "unknown", "no answer came in time, it may have been sent"
        except AgentError as error:
            return "failed", error.detail.rstrip(".")
        return "sent", ""

    async def _bury(self, sms: Sms, reason: str) -> None:
        """Keeps it as a dead letter, unless its user withdrew the number or was forgotten."""
        if reason == WITHDRAWN:
            return
        envelope = {
            "id": sms.id,
            "source": SOURCE,
            "type": "Sms",
            "specversion": "1.0",
            "data": sms,
        }
        try:
            letter_id = await self._letters.keep(self.topic, encode(envelope), reason, 1)
            self._counters.dead_letter_kept("sms")
            # Asked when it is kept: a deletion that begins later finds it among the letters.
            if await self._reader.forgotten_since(sms.user_id, sms.at):
                await self._letters.forget(letter_id)
        except AgentError as error:
            log.warning("the dead letter of sms %s is in doubt: %s", sms.id, error.title)

    async def _report(self, sms: Sms, status: NotificationStatus) -> None:
        for attempt in range(TRIES):
            if attempt:
                await self._clock.sleep(PAUSE * 2 ** (attempt - 1))
            try:
                await self._actors.report(sms.user_id, NotificationReport(sms.id, status))
            except TryLater:
                continue
            except AgentError as error:
                log.warning("of sms %s it stays unknown what became: %s", sms.id, error.title)
            return


def _held(event: bytes) -> Sms:
    """The SMS that a dead letter holds."""
    try:
        sms: Sms = adapter(Sms).validate_python(from_json(event)["data"])
    except (ValidationError, ValueError, KeyError, TypeError):
        raise Conflict("The letter holds no SMS.") from None
    return sms
