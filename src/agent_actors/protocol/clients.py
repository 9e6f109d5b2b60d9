"""Typed clients of the actors: the only callers of `ActorProxy`.

A call takes the method of an interface, and reads its wire name and the type of its result there:

    state = await self._call(conversation, ChatAgentInterface.adopt_turn, AdoptTurn(turn, outcome))
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Concatenate, ParamSpec, Self, TypeVar, cast

from dapr.actor import ActorId, ActorInterface, ActorProxy
from dapr.actor.client.proxy import ActorFactoryBase
from dapr.clients.base import DaprActorClientBase
from pydantic import TypeAdapter
from pydantic_core import from_json

from agent_actors.errors import Defect
from agent_actors.observability import tracing
from agent_actors.observability.counters import Counters
from agent_actors.protocol import ids, wire
from agent_actors.protocol.codec import ValueSerializer, adapter, encode
from agent_actors.protocol.dead_letters import ForgetDeadLetter, KeepDeadLetter
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.follow_ups import FollowUp, FollowUpQuestion, FollowUpResult
from agent_actors.protocol.interfaces import (
    AnalyticsInterface,
    ChatAgentInterface,
    ConsumerInterface,
    DeadLetterInterface,
    ForgetfulInterface,
    MemoryAgentInterface,
    NotificationInterface,
    ResponseAgentInterface,
    UserSessionInterface,
    declaration,
)
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

P = ParamSpec("P")
R = TypeVar("R")

_SPAN = {"rpc.system": "dapr"}
_NO_TEXT = Message("user", "")
_MALFORMED = "The actor's answer does not have the form of its method's result."


class ProxyFactory(ActorFactoryBase):
    """Makes proxies that call through a runtime's client instead of the SDK's own."""

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

    actor_type: str

    def __init__(self, factory: ProxyFactory) -> None:
        self._factory = factory

    async def _call(
        self,
        actor_id: str,
        method: Callable[Concatenate[Any, P], Coroutine[Any, Any, R]],
        *args: P.args,
        **_: P.kwargs,
    ) -> R:
        """Calls a method, as its interface declares it, and returns its result.

        Raises:
            Refused: The actor returned an error.
            Unavailable: The actor could not be reached.
        """
        declared = declaration(method)
        proxy = self._factory.create(self.actor_type, ActorId(actor_id))
        body = encode(args[0]) if args else None
        with tracing.span(f"{self.actor_type}/{declared.name}", "client", _SPAN):
            with self._factory.counters.timed("invoke"):
                answer = await proxy.invoke_method(declared.name, body)
            return cast(R, returned(answer, declared.result))


def returned(data: bytes, result: TypeAdapter[Any]) -> Any:
    """The value that a method returned; an error that it returned is raised (rule 10).

    Raises:
        Refused: The actor returned an error.
        Defect: The answer is neither; another release or another app's actor sent it.
    """
    try:
        value = from_json(data) if data else None
        if isinstance(value, dict) and value.keys() == {"error"}:
            problem = cast(Problem, adapter(Problem).validate_python(value["error"]))
        else:
            return result.validate_python(value)
    except ValueError:
        # Not pydantic's text: it repeats the value, and with it what people wrote.
        raise Defect(_MALFORMED) from None
    raise problem.error()


class ChatClient(ActorClient):
    """Calls ChatAgent; the actor's id is the conversation's."""

    actor_type = wire.CHAT

    async def process(self, conversation: str, request: ProcessTurn) -> TurnState:
        """Runs a turn; the state of one that is known already."""
        state = await self._call(conversation, ChatAgentInterface.process_message, request)
        if isinstance(state, Message):
            raise Defect(_MALFORMED)
        return state

    async def ask_follow_up(self, conversation: str, request: ProcessTurn) -> FollowUpResult:
        """Runs a turn and, in the same call, a follow-up of it."""
        return await self._call(conversation, ChatAgentInterface.ask_follow_up, request)

    async def complete(self, conversation: str, request: CompleteTurn) -> None:
        """Delivers the outcome of a parked turn."""
        await self._call(conversation, ChatAgentInterface.complete_turn, request)

    async def clear(self, conversation: str) -> None:
        """Hides the history and cancels the queued turns."""
        await self._call(conversation, ChatAgentInterface.clear_history)

    async def adopt(self, conversation: str, request: AdoptTurn) -> TurnState:
        """Commits, once, a turn that ended elsewhere."""
        return await self._call(conversation, ChatAgentInterface.adopt_turn, request)

    async def add_schedule(self, conversation: str, request: Schedule) -> Schedule:
        """Stores a schedule, once; returns it as it is now."""
        return await self._call(conversation, ChatAgentInterface.add_schedule, request)

    async def remove_schedule(self, conversation: str, request: RemoveSchedule) -> None:
        """Ends a schedule, if there is one of that id."""
        await self._call(conversation, ChatAgentInterface.remove_schedule, request)

    async def sum_up(self, conversation: str, request: ConversationSummary) -> None:
        """Stores a summary of the turns before the model's window."""
        await self._call(conversation, ChatAgentInterface.sum_up, request)

    async def forget(self, conversation: str, request: ForgetConversation) -> HighWaterMark:
        """Clears the conversation of a user who is being erased; its last turn."""
        return await self._call(conversation, ChatAgentInterface.forget, request)

    async def settle(self, upto: HighWaterMark) -> bool:
        """Does the recovery reminder's work now; True once all turns up to this one are erased."""
        return await self._call(upto.conversation, ChatAgentInterface.settle, upto)


class ResponseClient(ActorClient):
    """Calls the ResponseAgent of a conversation."""

    actor_type = wire.RESPONSE

    async def process(self, request: ResponseRequest) -> ResponseState:
        """Starts the model call of a turn; the state of one that is known already."""
        actor_id = ids.response_id(request.conversation)
        return await self._call(actor_id, ResponseAgentInterface.process_message, request)

    async def follow_up(self, request: FollowUp) -> FollowUpQuestion:
        """Sends a follow-up question of a turn to the turn's own conversation."""
        actor_id = ids.response_id(request.conversation)
        return await self._call(actor_id, ResponseAgentInterface.follow_up, request)


class ConsumerClient(ActorClient):
    """Calls a consumer of events, of which each user has one."""

    def actor_id(self, user: str) -> str:
        """The id of the user's actor."""
        return user

    async def mark(self, user: str, conversation: str) -> int:
        """The number of the last event of a conversation that the consumer has applied."""
        request = MarkRequest(conversation)
        return await self._call(self.actor_id(user), ConsumerInterface.get_mark, request)

    async def forget(self, user: str, request: ForgetUser) -> None:
        """Erases everything about the user except the marks, which move up."""
        await self._call(self.actor_id(user), ConsumerInterface.forget, request)


class ForgetfulClient(ConsumerClient):
    """Calls a consumer that can forget a single conversation."""

    async def forget_conversation(self, user: str, conversation: str, upto: int) -> None:
        """Erases what a conversation had up to that turn; the mark moves up to it."""
        mark = HighWaterMark(conversation, upto)
        await self._call(self.actor_id(user), ForgetfulInterface.forget_conversation, mark)


class BatchClient(ConsumerClient):
    """Calls a consumer that takes several events at once."""

    async def apply(self, user: str, events: Sequence[TurnEvent]) -> tuple[str, ...]:
        """Applies events, each once and in order; the ids of those that came too early."""
        raise NotImplementedError


class MemoryClient(ForgetfulClient):
    """Calls the MemoryAgentActor of a user."""

    actor_type = wire.MEMORY

    def actor_id(self, user: str) -> str:
        """The id of the user's actor."""
        return ids.memory_id(user)

    async def remember(self, user: str, event: TurnEvent) -> EventResult:
        """Applies an event, once and in order."""
        return await self._call(self.actor_id(user), MemoryAgentInterface.update_memory, event)

    async def recall(self, user: str) -> MemorySnapshot:
        """The user's entries and profile."""
        return await self._call(self.actor_id(user), MemoryAgentInterface.recall)

    async def initialize(self, user: str, person: Person) -> None:
        """Sets the user's profile."""
        await self._call(self.actor_id(user), MemoryAgentInterface.initialize, person)

    async def keep_summary(self, user: str, request: UserSummary) -> None:
        """Stores a summary of the user."""
        await self._call(self.actor_id(user), MemoryAgentInterface.keep_summary, request)


class SessionClient(BatchClient, ForgetfulClient):
    """Calls the UserSessionActor of a user."""

    actor_type = wire.SESSION

    async def apply(self, user: str, events: Sequence[TurnEvent]) -> tuple[str, ...]:
        """Applies events, each once and in order; the ids of those that came too early."""
        return await self._call(user, UserSessionInterface.add_exchanges, tuple(events))

    async def clear(self, user: str) -> None:
        """Drops the last exchanges."""
        await self._call(user, UserSessionInterface.clear_history)

    async def set_preferences(self, user: str, values: dict[str, str]) -> None:
        """Replaces the preferences."""
        await self._call(user, UserSessionInterface.set_preferences, values)

    async def open(self, user: str, session_id: str) -> None:
        """Adds a session to the user's list, once."""
        request = OpenSession(session_id)
        await self._call(user, UserSessionInterface.open_session, request)

    async def close_all(self, user: str) -> None:
        """Closes the list."""
        await self._call(user, UserSessionInterface.close_sessions)

    async def closed(self, user: str) -> Sessions:
        """The first page of the closed list."""
        return await self._call(user, UserSessionInterface.closed_sessions)

    async def drop(self, user: str, page: Sessions) -> None:
        """Drops this page if it is the first of the closed list."""
        await self._call(user, UserSessionInterface.drop_sessions, page)


class AnalyticsClient(BatchClient):
    """Calls the AnalyticsActor of a user."""

    actor_type = wire.ANALYTICS

    async def apply(self, user: str, events: Sequence[TurnEvent]) -> tuple[str, ...]:
        """Applies events, without their texts, each once and in order; the ids of early ones."""
        counted = tuple(replace(event, input=_NO_TEXT, output=_NO_TEXT) for event in events)
        return await self._call(user, AnalyticsInterface.count_turns, counted)

    async def initialize(self, user: str, message_count: int) -> None:
        """Sets the number of messages."""
        await self._call(user, AnalyticsInterface.initialize, message_count)


class NotificationClient(ConsumerClient):
    """Calls the NotificationActor of a user."""

    actor_type = wire.NOTIFICATIONS

    async def notify(self, user: str, request: Notify) -> tuple[str, ...]:
        """Notifies the user of turns, each once and in order; the ids of early events."""
        return await self._call(user, NotificationInterface.notify, request)

    async def report(self, user: str, request: NotificationReport) -> None:
        """Stores the result of sending a notification."""
        await self._call(user, NotificationInterface.report, request)


class DeadLetterClient(ActorClient):
    """Calls the one DeadLetterActor."""

    actor_type = wire.LETTERS

    async def keep(self, request: KeepDeadLetter) -> str:
        """Stores an event, once; the letter's id."""
        return await self._call(wire.LETTERS_ID, DeadLetterInterface.keep, request)

    async def forget(self, request: ForgetDeadLetter) -> None:
        """Removes a letter, if it is there."""
        await self._call(wire.LETTERS_ID, DeadLetterInterface.forget, request)


@dataclass(frozen=True, slots=True)
class Clients:
    """A client for each type of actor; a new type is one more line here."""

    chat: ChatClient
    response: ResponseClient
    memory: MemoryClient
    sessions: SessionClient
    analytics: AnalyticsClient
    notifications: NotificationClient
    dead_letters: DeadLetterClient

    @classmethod
    def of(cls, factory: ProxyFactory) -> Self:
        """The clients that call through this factory."""
        clients: list[Any] = [client(factory) for client in CLIENTS]
        return cls(*clients)


CLIENTS: Sequence[type[ActorClient]] = [cast(Any, each.type) for each in fields(Clients)]
"""The class of each client."""
