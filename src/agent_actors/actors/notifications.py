"""NotificationActor: tells a user of answered turns by SMS, at most once each; fed by events."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from dapr.actor import ActorId
from dapr.actor.runtime.context import ActorRuntimeContext

from agent_actors import contracts, slots, sms
from agent_actors.actors.consumer import Consumer, with_id
from agent_actors.interfaces import NotificationInterface
from agent_actors.messages import ForgetUser, MarkOf, Remember
from agent_actors.notices import Notice, Notices, Notify, Phone, Report, Sms, begins, moment
from agent_actors.turns import Host, turn

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
    async def get_mark(self, request: MarkOf) -> int:
        """The number of the last event of a conversation that is effective; 0 before the first."""
        return await self.mark(request.conversation)

    @turn
    async def report(self, request: Report) -> None:
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

    async def _notices(self) -> Notices:
        return await self.state.load(slots.NOTICES) or Notices()

    def _noting(self, notices: Notices, event: Remember, phone: Phone, texts: list[Sms]) -> Notices:
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
        notice = Notice(
            event.event_id,
            now.timestamp(),
            event.conversation,
            event.turn_id,
            "over the limit" if over else "unknown",
            sms.ending(phone.number),
        )
        if not over:
            texts.append(self._sms(notice, event, phone))
        return replace(
            notices,
            notices=(*notices.notices, notice)[-KEPT:],
            day=today,
            taken=taken + (not over),
        )

    def _sms(self, notice: Notice, event: Remember, phone: Phone) -> Sms:
        name = contracts.session_of(event.conversation) or event.conversation
        return Sms(
            id=notice.id,
            user_id=self.id.id,
            actor_id=event.conversation,
            turn_id=event.turn_id,
            text=sms.notification(name, event.input.content, event.output.content),
            since=phone.since,
            at=notice.at,
        )
