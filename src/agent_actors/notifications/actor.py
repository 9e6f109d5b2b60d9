"""NotificationActor: notifies a user of answered turns by SMS, at most once per turn."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.forms import phone_number
from agent_actors.notifications import text
from agent_actors.protocol import ids
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.interfaces import NotificationInterface
from agent_actors.protocol.messages import ForgetUser
from agent_actors.protocol.notifications import (
    NotificationLog,
    NotificationRecord,
    NotificationReport,
    Notify,
    PhoneNumber,
    Sms,
    newest_ignored,
    timestamp,
)
from agent_actors.state import slots
from agent_actors.turns.actor import Host, turn
from agent_actors.users.consumer import Consumer, with_id

KEPT = 50
"""The number of notifications of a user that can be listed."""

Send = Callable[[Sequence[Sms]], None]
"""Starts sending, outside every turn, and returns at once."""


class NotificationActor(Consumer, NotificationInterface):
    """The notifications of one user, over all conversations.

    A notification is saved, together with the mark, before its SMS is sent. If the process crashes
    in between, the SMS is lost, but none is sent twice. Its status is unknown until it is reported.
    At most `limit` SMS are sent per day, in UTC.
    """

    def __init__(
        self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host, limit: int, send: Send
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self._limit = limit
        self._send = send

    @turn
    async def notify(self, request: Notify) -> tuple[str, ...]:
        """Saves notifications, then starts sending them; the ids of events that came too early."""
        record = await self.state.load_or_new(slots.NOTICES)
        due, early = await self.select(request.events, record.seen)
        if not due:
            return early
        texts: list[Sms] = []
        for event in due:
            record = self._with_event(record, event, request.phone, texts)
        await self.apply(due, {slots.NOTICES: record})
        self._send(texts)
        return early

    @turn
    async def report(self, request: NotificationReport) -> None:
        """Saves the status of a notification; ignored if the notification is not kept any more."""
        record = await self.state.load_or_new(slots.NOTICES)
        changed = tuple(
            replace(each, status=request.status) if each.id == request.notice_id else each
            for each in record.notices
        )
        if changed != record.notices:
            await self.state.save({slots.NOTICES: replace(record, notices=changed)})

    @turn
    async def forget(self, request: ForgetUser) -> None:
        """Forgets the user; the marks move up."""
        await self.wipe(request, {slots.NOTICES: None})

    def _with_event(
        self, record: NotificationLog, event: TurnEvent, phone: PhoneNumber, texts: list[Sms]
    ) -> NotificationLog:
        """The log with the notification of an event; its SMS is added to `texts` if it is due."""
        if event.seq is None:
            record = replace(record, seen=with_id(record.seen, event.event_id))
        now = self.clock.now()
        occurred = timestamp(event.occurred_at) or event.at
        if occurred is not None and occurred <= newest_ignored(phone, now.timestamp()):
            return record
        today = now.date().isoformat()
        taken = record.taken if record.day == today else 0
        over = taken >= self._limit
        notice = NotificationRecord(
            event.event_id,
            now.timestamp(),
            event.conversation,
            event.turn_id,
            "over the limit" if over else "unknown",
            phone_number.ending(phone.number),
        )
        if not over:
            name = ids.session_of(event.conversation) or event.conversation
            sms = Sms(
                id=notice.id,
                user_id=self.id.id,
                actor_id=event.conversation,
                turn_id=event.turn_id,
                text=text.notification(name, event.input.content, event.output.content),
                since=phone.since,
                at=notice.at,
            )
            texts.append(sms)
        return replace(
            record, notices=(*record.notices, notice)[-KEPT:], day=today, taken=taken + (not over)
        )
