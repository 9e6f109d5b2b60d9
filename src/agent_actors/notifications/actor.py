"""NotificationActor: tells a user of answered turns by SMS, at most once each; fed by events."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors.forms import phone_number
from agent_actors.notifications import text
from agent_actors.protocol import ids
from agent_actors.protocol.interfaces import NotificationInterface
from agent_actors.protocol.messages import ForgetUser, MarkRequest, TurnEvent
from agent_actors.protocol.notifications import (
    NotificationLog,
    NotificationRecord,
    NotificationReport,
    Notify,
    PhoneNumber,
    Sms,
    begins,
    moment,
)
from agent_actors.state import slots
from agent_actors.turns.actor import Host, turn
from agent_actors.users.consumer import Consumer, with_id

KEPT = 50
"""Notifications of a user that can be looked at."""

Send = Callable[[Sequence[Sms]], None]
"""Begins to send, outside every turn, and returns at once."""


class NotificationActor(Consumer, NotificationInterface):
    """What one user is told, over all conversations.

    That a turn is told is saved before it is sent, with the mark: a crash between the two costs the
    SMS, and nothing sends it twice. Until somebody has reported what became of it, that is unknown.

    Args:
        ctx: The SDK's context.
        actor_id: The SDK's id.
        host: What the actors of this process share.
        limit: SMS of a day, in UTC.
        send: Sends what is saved.
    """

    def __init__(
        self, ctx: ActorRuntimeContext, actor_id: ActorId, host: Host, limit: int, send: Send
    ) -> None:
        super().__init__(ctx, actor_id, host)
        self._limit = limit
        self._send = send

    @turn
    async def notify(self, request: Notify) -> tuple[str, ...]:
        """Saves what is to be told, then begins to send it; the ids of what came too early."""
        notices = await self._notices()
        found, early = await self.sorted_out(request.events, notices.seen)
        if not found:
            return early
        texts: list[Sms] = []
        for event in found:
            notices = self._noting(notices, event, request.phone, texts)
        await self.apply(found, {slots.NOTICES: notices})
        self._send(texts)
        return early

    @turn
    async def get_mark(self, request: MarkRequest) -> int:
        """The number of the last event of a conversation that is effective; 0 before the first."""
        return await self.mark(request.conversation)

    @turn
    async def report(self, request: NotificationReport) -> None:
        """Keeps what became of a notification; ignored where it is forgotten or long ago."""
        notices = await self._notices()
        changed = tuple(
            replace(each, status=request.status) if each.id == request.notice_id else each
            for each in notices.notices
        )
        if changed != notices.notices:
            await self.state.save({slots.NOTICES: replace(notices, notices=changed)})

    @turn
    async def forget(self, request: ForgetUser) -> None:
        """Forgets the user; the marks move up."""
        await self.wipe(request, {slots.NOTICES: None})

    async def _notices(self) -> NotificationLog:
        return await self.state.load(slots.NOTICES) or NotificationLog()

    def _noting(
        self, notices: NotificationLog, event: TurnEvent, phone: PhoneNumber, texts: list[Sms]
    ) -> NotificationLog:
        """The notices with that event, which is added to what is sent unless there is a reason."""
        if event.seq is None:
            notices = replace(notices, seen=with_id(notices.seen, event.event_id))
        now = self.clock.now()
        happened = moment(event.occurred_at) or event.at
        if happened is not None and happened <= begins(phone, now.timestamp()):
            return notices
        today = now.date().isoformat()
        taken = notices.taken if notices.day == today else 0
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
            texts.append(self._sms(notice, event, phone))
        return replace(
            notices,
            notices=(*notices.notices, notice)[-KEPT:],
            day=today,
            taken=taken + (not over),
        )

    def _sms(self, notice: NotificationRecord, event: TurnEvent, phone: PhoneNumber) -> Sms:
        name = ids.session_of(event.conversation) or event.conversation
        return Sms(
            id=notice.id,
            user_id=self.id.id,
            actor_id=event.conversation,
            turn_id=event.turn_id,
            text=text.notification(name, event.input.content, event.output.content),
            since=phone.since,
            at=notice.at,
        )
