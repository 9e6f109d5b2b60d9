"""The interfaces of the actors: their methods by the names that travel.

The SDK reads them at run time, so their annotations are real types: the serializer decodes into
them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar, cast

from dapr.actor import ActorInterface
from dapr.actor import actormethod as _actormethod
from pydantic import TypeAdapter

from agent_actors.protocol.codec import adapter
from agent_actors.protocol.dead_letters import ForgetDeadLetter, KeepDeadLetter
from agent_actors.protocol.events import TurnEvent
from agent_actors.protocol.follow_ups import FollowUp, FollowUpQuestion, FollowUpResult
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
    ProcessTurn,
    ResponseRequest,
    ResponseState,
    SessionExchange,
    Sessions,
    TurnState,
    UserSummary,
)
from agent_actors.protocol.notifications import NotificationReport, Notify
from agent_actors.protocol.schedules import RemoveSchedule, Schedule

_Method = TypeVar("_Method", bound=Callable[..., Any])
actormethod = cast(Callable[[str], Callable[[_Method], _Method]], _actormethod)


@dataclass(frozen=True, slots=True)
class ActorMethod:
    """A method of an interface as it travels: its name, and the codec of its result."""

    name: str
    result: TypeAdapter[Any]


@cache
def declaration(method: Callable[..., Any]) -> ActorMethod:
    """What an interface declares of a method; read once."""
    return ActorMethod(
        getattr(method, "__actormethod__"),  # noqa: B009 - the SDK sets it without declaring it
        adapter(method.__annotations__["return"]),
    )


class Pingable(ActorInterface):
    """An actor that says it can be called; every actor of ours is one."""

    @actormethod("Ping")
    async def ping(self) -> bool:
        """True; nothing is read, and no turn is waited for."""
        raise NotImplementedError


class ChatAgentInterface(ActorInterface):
    """A conversation: its history, its queue of turns, and the events it owes."""

    @actormethod("ProcessMessage")
    async def process_message(self, request: ProcessTurn | Message) -> TurnState | Message:
        """Run a turn; a bare message (the lesson's form) is an unkeyed turn."""
        raise NotImplementedError

    @actormethod("AskFollowUp")
    async def ask_follow_up(self, request: ProcessTurn) -> FollowUpResult:
        """Run a turn and, in the same call, one that follows it up."""
        raise NotImplementedError

    @actormethod("CompleteTurn")
    async def complete_turn(self, request: CompleteTurn) -> None:
        """The model's task delivers the end of a parked turn."""
        raise NotImplementedError

    @actormethod("GetConversationHistory")
    async def get_conversation_history(self) -> tuple[Message, ...]:
        """The last entries, beginning with a user entry."""
        raise NotImplementedError

    @actormethod("ClearHistory")
    async def clear_history(self) -> None:
        """Hide what was said, cancel what is queued."""
        raise NotImplementedError

    @actormethod("AdoptTurn")
    async def adopt_turn(self, request: AdoptTurn) -> TurnState:
        """Commit a turn that another service has answered, once."""
        raise NotImplementedError

    @actormethod("AddSchedule")
    async def add_schedule(self, request: Schedule) -> Schedule:
        """Keep a schedule, once; as it is now."""
        raise NotImplementedError

    @actormethod("RemoveSchedule")
    async def remove_schedule(self, request: RemoveSchedule) -> None:
        """End a schedule, if it is there."""
        raise NotImplementedError

    @actormethod("SumUp")
    async def sum_up(self, request: ConversationSummary) -> None:
        """Keep a summary of what the model does not see any more."""
        raise NotImplementedError

    @actormethod("Forget")
    async def forget(self, request: ForgetConversation) -> HighWaterMark:
        """Clear for a user who is forgotten; the number of the last committed turn."""
        raise NotImplementedError

    @actormethod("Settle")
    async def settle(self, upto: HighWaterMark) -> bool:
        """Do at once what the recovery reminder does; whether all up to that turn is erased."""
        raise NotImplementedError


class ResponseAgentInterface(ActorInterface):
    """Runs the model for a conversation and never waits for it longer than the parking time."""

    @actormethod("ProcessMessage")
    async def process_message(self, request: ResponseRequest) -> ResponseState:
        """Start a turn, or say where it is."""
        raise NotImplementedError

    @actormethod("FollowUp")
    async def follow_up(self, request: FollowUp) -> FollowUpQuestion:
        """Ask the conversation about a turn of its own, which waits for it."""
        raise NotImplementedError

    @actormethod("GetMessageCount")
    async def get_message_count(self) -> int:
        """The number of committed turns of the conversation."""
        raise NotImplementedError


class ConsumerInterface(ActorInterface):
    """A consumer of events, of which each user has one.

    The interfaces below name `ActorInterface` once more: the SDK reads only classes that do.
    """

    @actormethod("GetMark")
    async def get_mark(self, request: MarkRequest) -> int:
        """The number of the last event of a conversation that is effective."""
        raise NotImplementedError

    @actormethod("Forget")
    async def forget(self, request: ForgetUser) -> None:
        """Forget the user; the marks move up."""
        raise NotImplementedError


class ForgetfulInterface(ConsumerInterface, ActorInterface):
    """A consumer that can forget a single conversation."""

    @actormethod("ForgetConversation")
    async def forget_conversation(self, passed: HighWaterMark) -> None:
        """Forget what was said in a conversation, which was cleared."""
        raise NotImplementedError


class MemoryAgentInterface(ForgetfulInterface, ActorInterface):
    """What a user said lately, over all conversations, fed by events."""

    @actormethod("UpdateMemory")
    async def update_memory(self, event: TurnEvent) -> EventResult:
        """Apply one event, once and in order."""
        raise NotImplementedError

    @actormethod("GetMemory")
    async def get_memory(self) -> tuple[Message, ...]:
        """The entries, newest last."""
        raise NotImplementedError

    @actormethod("Recall")
    async def recall(self) -> MemorySnapshot:
        """The entries, and who the user is."""
        raise NotImplementedError

    @actormethod("Initialize")
    async def initialize(self, person: Person) -> None:
        """Say who the user is; a summary that is being made is ignored."""
        raise NotImplementedError

    @actormethod("KeepSummary")
    async def keep_summary(self, request: UserSummary) -> None:
        """Keep a summary of the user."""
        raise NotImplementedError


class UserSessionInterface(ForgetfulInterface, ActorInterface):
    """What a user did last, prefers, and which sessions the user has; fed by events."""

    @actormethod("AddExchanges")
    async def add_exchanges(self, events: tuple[TurnEvent, ...]) -> tuple[str, ...]:
        """Apply events, each once and in order; the ids of those that came too early."""
        raise NotImplementedError

    @actormethod("GetConversationHistory")
    async def get_conversation_history(self) -> tuple[SessionExchange, ...]:
        """The last exchanges, newest last."""
        raise NotImplementedError

    @actormethod("ClearHistory")
    async def clear_history(self) -> None:
        """Drop the last exchanges."""
        raise NotImplementedError

    @actormethod("SetPreferences")
    async def set_preferences(self, values: dict[str, str]) -> None:
        """Replace the user's preferences."""
        raise NotImplementedError

    @actormethod("OpenSession")
    async def open_session(self, request: OpenSession) -> None:
        """Put a session on the user's list, once; to be called before its first turn."""
        raise NotImplementedError

    @actormethod("CloseSessions")
    async def close_sessions(self) -> None:
        """Close the list: what is on it belongs to a user who is forgotten, what comes does not."""
        raise NotImplementedError

    @actormethod("ClosedSessions")
    async def closed_sessions(self) -> Sessions:
        """The first page of a closed list; without `next`, the last one."""
        raise NotImplementedError

    @actormethod("DropSessions")
    async def drop_sessions(self, page: Sessions) -> None:
        """Drop this page, if it is the first of a closed list: its conversations are forgotten."""
        raise NotImplementedError


class AnalyticsInterface(ConsumerInterface, ActorInterface):
    """How many messages of a user were answered, and with how many tokens; fed by events."""

    @actormethod("CountTurns")
    async def count_turns(self, events: tuple[TurnEvent, ...]) -> tuple[str, ...]:
        """Apply events, each once and in order; the ids of those that came too early."""
        raise NotImplementedError

    @actormethod("GetMessageCount")
    async def get_message_count(self) -> int:
        """How many messages were answered."""
        raise NotImplementedError

    @actormethod("Initialize")
    async def initialize(self, message_count: int) -> None:
        """Set the number of messages."""
        raise NotImplementedError


class NotificationInterface(ConsumerInterface, ActorInterface):
    """Which turns a user is told of, each at most once; fed by events."""

    @actormethod("Notify")
    async def notify(self, request: Notify) -> tuple[str, ...]:
        """Have turns told, each once and in order; the ids of those that came too early."""
        raise NotImplementedError

    @actormethod("Report")
    async def report(self, request: NotificationReport) -> None:
        """Keep what became of a notification."""
        raise NotImplementedError


class DeadLetterInterface(ActorInterface):
    """The events that could not be applied, bounded in number and age."""

    @actormethod("Keep")
    async def keep(self, request: KeepDeadLetter) -> str:
        """Keep an event, once; the letter's id."""
        raise NotImplementedError

    @actormethod("Forget")
    async def forget(self, request: ForgetDeadLetter) -> None:
        """Remove a letter, if it is there."""
        raise NotImplementedError
