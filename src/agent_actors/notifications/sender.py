"""Sends SMS, outside every actor's turn.

Notifications are saved before their SMS is sent. The result is reported to the actor in a short
turn. The user's number is read right before each SMS, so a number that was removed gets none.
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
from agent_actors.retry import RetryPolicy, retry
from agent_actors.runtime import DeadLetters
from agent_actors.state.reader import StateReader

log = logging.getLogger(__name__)

AT_ONCE = 8
"""The SMS that are sent at the same time; those of one user are sent one after the other."""
TRIES = 4
"""The attempts to report a result to the actor; after them, the status stays unknown."""
REPORTS = RetryPolicy(pause=1.0, attempts=TRIES)
WITHDRAWN = "the number was withdrawn"
"""Why an SMS is not sent whose user has another number since, or none."""
SOURCE = "agent-actors"

Invoke = Callable[[str, str, Any, dict[str, str]], Awaitable[bytes]]
"""Invokes an output binding: its name, the operation, data and metadata."""


@dataclass(frozen=True, slots=True)
class SmsBinding:
    """The output binding that sends SMS, and how many seconds it may take."""

    invoke: Invoke
    name: str
    time: float = 10.0


class SmsSender:
    """Sends the SMS of saved notifications, and reports the results to the NotificationActors.

    The dead letters keep the SMS that could not be sent.
    """

    def __init__(
        self,
        binding: SmsBinding,
        actors: NotificationClient,
        reader: StateReader,
        letters: DeadLetters,
        clock: Clock,
        counters: Counters | None = None,
    ) -> None:
        self._counters = counters or Counters()
        self._binding = binding
        self._actors = actors
        self._reader = reader
        self._letters = letters
        self._clock = clock
        self._waiting: dict[str, deque[Sms]] = {}
        self._resending: set[str] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._tasks = Background("an SMS was not sent")

    @property
    def topic(self) -> str:
        """The topic of the dead letters."""
        return self._binding.name

    def send(self, texts: Sequence[Sms]) -> None:
        """Starts sending, and returns at once. A user's waiting SMS are limited by the day."""
        for each in texts:
            waiting = self._waiting.get(each.user_id)
            if waiting is None:
                waiting = self._waiting[each.user_id] = deque()
                self._tasks.begin(self._serve(each.user_id, waiting))
            waiting.append(each)

    async def resend(self, event: bytes) -> None:
        """Sends the SMS of a dead letter to the current number of its user.

        This returns as soon as the SMS is sent: until its letter is forgotten, it could be sent
        twice.

        Raises:
            Conflict: It was not sent, or it is unknown whether it was, or another call is sending
                it. The letter stays.
        """
        try:
            sms: Sms = adapter(Sms).validate_python(from_json(event)["data"])
        except (ValidationError, ValueError, KeyError, TypeError):
            raise Conflict("The letter has no SMS.") from None
        if sms.id in self._resending:
            raise Conflict("This SMS is being sent right now.")
        self._resending.add(sms.id)
        try:
            phone = await self._reader.phone(sms.user_id)
            if phone is None:
                raise Conflict("The user has no phone number any more; the letter is kept.")
            status, reason = await self._invoke(phone, sms)
            self._counters.sms_ended(status)
            if status == "sent":
                self._tasks.begin(self._report(sms, status))
                return
            # Awaited, because it must not come after the report of a later call that succeeds.
            await self._report(sms, status)
            raise Conflict(f"The SMS failed again, and its letter is kept: {reason}.")
        finally:
            self._resending.discard(sms.id)

    async def drain(self) -> None:
        """Returns when nothing is being sent."""
        await self._tasks.drain()

    async def stop(self) -> None:
        """Stops sending; the status of what was being sent stays unknown. Idempotent."""
        await self._tasks.stop()

    async def _serve(self, user: str, waiting: deque[Sms]) -> None:
        try:
            while waiting:
                await self._send(waiting.popleft())
        finally:
            del self._waiting[user]

    async def _send(self, sms: Sms) -> None:
        status, reason = await self._attempt(sms)
        self._counters.sms_ended(status)
        if status == "sent":
            log.info("sms %s was sent", sms.id)
        else:
            log.warning("sms %s: %s, %s", sms.id, status, reason)
        if status == "failed" and reason != WITHDRAWN:
            await self._bury(sms, reason)
        await self._report(sms, status)

    async def _attempt(self, sms: Sms) -> tuple[NotificationStatus, str]:
        """Sends an SMS, unless its user's number has changed; the status and the reason for it."""
        async with self._at_once:
            try:
                phone = await self._reader.phone(sms.user_id)
            except AgentError as error:
                return "failed", f"the number could not be read ({error.title})"
            if phone is None or phone.since != sms.since:
                return "failed", WITHDRAWN
            return await self._invoke(phone, sms)

    async def _invoke(self, phone: PhoneNumber, sms: Sms) -> tuple[NotificationStatus, str]:
        """Invokes the binding once. Without an answer, the SMS may have been sent: no retry."""
        binding = self._binding
        metadata = {"toNumber": phone.number}
        try:
            async with self._clock.timeout(binding.time):
                await binding.invoke(binding.name, "create", sms.text, metadata)
        except (TimeoutError, Unavailable):
            return "unknown", "no answer came in time, it may have been sent"
        except AgentError as error:
            return "failed", error.detail.rstrip(".")
        return "sent", ""

    async def _bury(self, sms: Sms, reason: str) -> None:
        """Keeps an SMS as a dead letter, unless its user was forgotten."""
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
            # Checked after it is kept: a deletion that starts later finds it among the letters.
            if await self._reader.forgotten_since(sms.user_id, sms.at):
                await self._letters.forget(letter_id)
        except AgentError as error:
            log.warning("the dead letter of sms %s may not be kept: %s", sms.id, error.title)

    async def _report(self, sms: Sms, status: NotificationStatus) -> None:
        report = NotificationReport(sms.id, status)
        try:
            await retry(
                lambda: self._actors.report(sms.user_id, report),
                REPORTS,
                on=TryLater,
                clock=self._clock,
            )
        except AgentError as error:
            log.warning("the status of sms %s stays unknown: %s", sms.id, error.title)
