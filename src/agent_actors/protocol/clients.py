"""Typed clients of our actors: the only callers of `ActorProxy`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar, cast

from dapr.actor import ActorId, ActorInterface, ActorProxy
from dapr.actor.client.proxy import ActorFactoryBase
from dapr.clients.base import DaprActorClientBase
from pydantic_core import from_json

from agent_actors.errors import Defect
from agent_actors.observability import tracing
from agent_actors.observability.counters import Counters
from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import ValueSerializer, adapter, encode
from agent_actors.protocol.dead_letters import ForgetDeadLetter, KeepDeadLetter
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.follow_ups import FollowUp, FollowUpQuestion, FollowUpResult
from agent_actors.protocol.ids import ActorRef
from agent_actors.protocol.messages import (
    AdoptTurn,
    CompleteTurn,
    ConversationSummary,
    EventResult,
    ForgetConversation,
    ForgetUser,
    HighWaterMark,
    MarkRequest,
    MemorySnapshot,
    Message,
    OpenSession,
    Person,
    Problem,
    ProcessTurn,
    ResponseRequest,
    ResponseState,
    Sessions,
    TurnState,
    UserSummary,
)
from agent_actors.protocol.notifications import NotificationReport, Notify
from agent_actors.protocol.schedules import RemoveSchedule, Schedule

T = TypeVar("T")

_CALLS = {"rpc.system": "dapr"}
_NOTHING = Message("user", "")
_LETTERS = ActorRef(wire.LETTERS, wire.LETTERS_ID)


class ProxyFactory(ActorFactoryBase):
    """Makes proxies that speak through a runtime's client, not through one of the SDK's own."""

    def __init__(self, client: DaprActorClientBase, counters: Counters | None = None) -> None:
        self._client = client
        self.counters = counters or Counters()
        self._serializer = ValueSerializer()

    def create(
        self,
        actor_type: str,
        actor_id: ActorId,
        actor_interface: type[ActorInterface] | None = None,
    ) -> ActorProxy:
        """A proxy of that actor."""
        return ActorProxy(self._client, actor_type, actor_id, actor_interface, self._serializer)


class ActorClient:
    """Calls the actors of one type."""

    def __init__(self, factory: ProxyFactory) -> None:
        self._factory = factory

    async def _call(self, actor: ActorRef, method: str, argument: object, result: Any) -> Any:
        """The method's result.

        Raises:
            Refused: The actor returned an error.
            Unavailable: It could not be reached.
        """
        proxy = ActorProxy.create(actor.type, ActorId(actor.id), actor_proxy_factory=self._factory)
        body = None if argument is None else encode(argument)
        with tracing.span(f"{actor.type}/{method}", "client", _CALLS):
            with self._factory.counters.timed("invoke"):
                answer = await proxy.invoke_method(method, body)
            return returned(answer, result)


def returned(data: bytes, result: type[T]) -> T:
    """What a turn returned: its value, or its error raised (PROTOCOL, rule 10).

    Raises:
        Refused: The error.
        Defect: It is neither, as when another release answers, or another app's actor.
    """
    try:
        value = from_json(data) if data else None
        if isinstance(value, dict) and value.keys() == {"error"}:
            problem = cast(Problem, adapter(Problem).validate_python(value["error"]))
        else:
            return cast(T, adapter(result).validate_python(value))
    except ValueError:
        # Not its text: pydantic repeats the value, and so what people said.
        raise Defect("An actor's answer is not of the form it should have.") from None
    raise problem.error()


class ChatClient(ActorClient):
    """Calls ChatAgent; the actor's id is the conversation's."""

    async def process(self, conversation: str, request: ProcessTurn) -> TurnState:
        """Runs a turn, or says where it is."""
        actor = ActorRef(wire.CHAT, conversation)
        state: TurnState = await self._call(actor, "ProcessMessage", request, TurnState)
        return state

    async def ask_follow_up(self, conversation: str, request: ProcessTurn) -> FollowUpResult:
        """Runs a turn and, in the same call, one that follows it up."""
        actor = ActorRef(wire.CHAT, conversation)
        followed: FollowUpResult = await self._call(actor, "AskFollowUp", request, FollowUpResult)
        return followed

    async def complete(self, conversation: str, request: CompleteTurn) -> None:
        """Delivers the end of a parked turn."""
        await self._call(ActorRef(wire.CHAT, conversation), "CompleteTurn", request, None)

    async def clear(self, conversation: str) -> None:
        """Hides what was said, and cancels what is queued."""
        await self._call(ActorRef(wire.CHAT, conversation), "ClearHistory", None, None)

    async def adopt(self, conversation: str, request: AdoptTurn) -> TurnState:
        """Commits a turn that ended elsewhere, once."""
        actor = ActorRef(wire.CHAT, conversation)
        state: TurnState = await self._call(actor, "AdoptTurn", request, TurnState)
        return state

    async def add_schedule(self, conversation: str, request: Schedule) -> Schedule:
        """Keeps a schedule, once; as it is now."""
        actor = ActorRef(wire.CHAT, conversation)
        kept: Schedule = await self._call(actor, "AddSchedule", request, Schedule)
        return kept

    async def remove_schedule(self, conversation: str, request: RemoveSchedule) -> None:
        """Ends a schedule, if it is there."""
        await self._call(ActorRef(wire.CHAT, conversation), "RemoveSchedule", request, None)

    async def sum_up(self, conversation: str, request: ConversationSummary) -> None:
        """Keeps a summary of what the model does not see any more."""
        await self._call(ActorRef(wire.CHAT, conversation), "ConversationSummary", request, None)

    async def forget(self, conversation: str, request: ForgetConversation) -> HighWaterMark:
        """Clears for a user who is forgotten."""
        passed: HighWaterMark = await self._call(
            ActorRef(wire.CHAT, conversation), "Forget", request, HighWaterMark
        )
        return passed

    async def settle(self, upto: HighWaterMark) -> bool:
        """Does at once what the recovery reminder does; whether all up to that turn is erased."""
        actor = ActorRef(wire.CHAT, upto.conversation)
        erased: bool = await self._call(actor, "Settle", upto, bool)
        return erased


class ResponseClient(ActorClient):
    """Calls the ResponseAgent of a conversation."""

    async def process(self, request: ResponseRequest) -> ResponseState:
        """Starts a turn's model call, or says where it is."""
        actor = ActorRef(wire.RESPONSE, ids.response_id(request.conversation))
        responding: ResponseState = await self._call(
            actor, "ProcessMessage", request, ResponseState
        )
        return responding

    async def follow_up(self, request: FollowUp) -> FollowUpQuestion:
        """Asks a conversation about a turn of its own."""
        actor = ActorRef(wire.RESPONSE, ids.response_id(request.conversation))
        asked: FollowUpQuestion = await self._call(actor, "FollowUp", request, FollowUpQuestion)
        return asked


class ConsumerClient(ActorClient):
    """Calls a consumer of events, which belongs to a user."""

    def actor(self, user: str) -> ActorRef:
        """The type and id of the user's actor."""
        raise NotImplementedError

    async def mark(self, user: str, conversation: str) -> int:
        """The number of the last event of a conversation that the consumer has applied."""
        number: int = await self._call(self.actor(user), "GetMark", MarkRequest(conversation), int)
        return number

    async def forget(self, user: str, request: ForgetUser) -> None:
        """Forgets the user; the marks move up."""
        await self._call(self.actor(user), "Forget", request, None)


class ForgetfulClient(ConsumerClient):
    """Calls a consumer that can forget what one conversation was about."""

    async def forget_conversation(self, user: str, conversation: str, upto: int) -> None:
        """Forgets what was said in a conversation up to that turn; the mark moves up to it."""
        await self._call(
            self.actor(user), "ForgetConversation", HighWaterMark(conversation, upto), None
        )


class BatchClient(ConsumerClient):
    """Calls a consumer that takes some events at a time."""

    method: str

    def needed(self, event: TurnEvent) -> TurnEvent:
        """What the consumer needs of an event; by default all of it."""
        return event

    async def apply(self, user: str, events: Sequence[TurnEvent]) -> tuple[str, ...]:
        """Applies events, each once and in order; the ids of those that came too early."""
        wanted = tuple(map(self.needed, events))
        early: tuple[str, ...] = await self._call(
            self.actor(user), self.method, wanted, tuple[str, ...]
        )
        return early


class MemoryClient(ForgetfulClient):
    """Calls the MemoryAgentActor of a user."""

    def actor(self, user: str) -> ActorRef:
        """The type and id of the user's actor."""
        return ActorRef(wire.MEMORY, ids.memory_id(user))

    async def remember(self, user: str, event: TurnEvent) -> EventResult:
        """Applies an event, once and in order."""
        actor = ActorRef(wire.MEMORY, ids.memory_id(user))
        remembered: EventResult = await self._call(actor, "UpdateMemory", event, EventResult)
        return remembered

    async def recall(self, user: str) -> MemorySnapshot:
        """The user's entries, and who the user is."""
        actor = ActorRef(wire.MEMORY, ids.memory_id(user))
        recalled: MemorySnapshot = await self._call(actor, "Recall", None, MemorySnapshot)
        return recalled

    async def initialize(self, user: str, person: Person) -> None:
        """Says who the user is."""
        actor = ActorRef(wire.MEMORY, ids.memory_id(user))
        await self._call(actor, "Initialize", person, None)

    async def keep_summary(self, user: str, request: UserSummary) -> None:
        """Keeps a summary of the user."""
        actor = ActorRef(wire.MEMORY, ids.memory_id(user))
        await self._call(actor, "UserSummary", request, None)


class SessionClient(BatchClient, ForgetfulClient):
    """Calls the UserSessionActor of a user."""

    method = "AddExchanges"

    def actor(self, user: str) -> ActorRef:
        """The type and id of the user's actor."""
        return ActorRef(wire.SESSION, user)

    async def clear(self, user: str) -> None:
        """Drops the last exchanges."""
        await self._call(ActorRef(wire.SESSION, user), "ClearHistory", None, None)

    async def set_preferences(self, user: str, values: dict[str, str]) -> None:
        """Replaces the preferences."""
        await self._call(ActorRef(wire.SESSION, user), "SetPreferences", values, None)

    async def open(self, user: str, session_id: str) -> None:
        """Puts a session on the user's list, once."""
        await self._call(ActorRef(wire.SESSION, user), "OpenSession", OpenSession(session_id), None)

    async def close_all(self, user: str) -> None:
        """Closes the list."""
        await self._call(ActorRef(wire.SESSION, user), "CloseSessions", None, None)

    async def closed(self, user: str) -> Sessions:
        """The first page of the closed list."""
        page: Sessions = await self._call(
            ActorRef(wire.SESSION, user), "ClosedSessions", None, Sessions
        )
        return page

    async def drop(self, user: str, page: Sessions) -> None:
        """Drops this page, if it is the first of the closed list."""
        await self._call(ActorRef(wire.SESSION, user), "DropSessions", page, None)


class AnalyticsClient(BatchClient):
    """Calls the AnalyticsActor of a user."""

    method = "CountTurns"

    def actor(self, user: str) -> ActorRef:
        """The type and id of the user's actor."""
        return ActorRef(wire.ANALYTICS, user)

    def needed(self, event: TurnEvent) -> TurnEvent:
        """Not what was said, which may be long."""
        return replace(event, input=_NOTHING, output=_NOTHING)

    async def initialize(self, user: str, message_count: int) -> None:
        """Sets the number of messages."""
        await self._call(ActorRef(wire.ANALYTICS, user), "Initialize", message_count, None)


class NotificationClient(ConsumerClient):
    """Calls the NotificationActor of a user."""

    def actor(self, user: str) -> ActorRef:
        """The type and id of the user's actor."""
        return ActorRef(wire.NOTIFICATIONS, user)

    async def notify(self, user: str, request: Notify) -> tuple[str, ...]:
        """Has turns told, each once and in order; the ids of those that came too early."""
        early: tuple[str, ...] = await self._call(
            self.actor(user), "Notify", request, tuple[str, ...]
        )
        return early

    async def report(self, user: str, request: NotificationReport) -> None:
        """Keeps what became of a notification."""
        await self._call(self.actor(user), "NotificationReport", request, None)


class DeadLetterClient(ActorClient):
    """Calls the one DeadLetterActor."""

    async def keep(self, request: KeepDeadLetter) -> str:
        """Keeps an event, once; the letter's id."""
        letter_id: str = await self._call(_LETTERS, "Keep", request, str)
        return letter_id

    async def forget(self, request: ForgetDeadLetter) -> None:
        """Removes a letter, if it is there."""
        await self._call(_LETTERS, "Forget", request, None)
