"""The interfaces of the actors: each method is declared here, once, with its wire name and types.

The SDK reads them at run time and the serializer decodes into the annotations, so these are real
types. `actormethod` makes a method abstract, so it has no body.
"""

# mypy: disable-error-code="empty-body"

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
    """An actor that can be probed; every actor of this service is one."""

    @actormethod("Ping")
    async def ping(self) -> bool:
        """Returns True, without reading anything and without waiting for a turn."""


class ChatAgentInterface(ActorInterface):
    """A conversation: its history, its queue of turns, and the events that it owes."""

    @actormethod("ProcessMessage")
    async def process_message(self, request: ProcessTurn | Message) -> TurnState | Message:
        """Runs a turn; a bare message (the lesson's form) is an unkeyed turn."""

    @actormethod("AskFollowUp")
    async def ask_follow_up(self, request: ProcessTurn) -> FollowUpResult:
        """Runs a turn and, in the same call, one that follows it up."""

    @actormethod("CompleteTurn")
    async def complete_turn(self, request: CompleteTurn) -> None:
        """Takes the outcome of a parked turn from the model's task."""

    @actormethod("GetConversationHistory")
    async def get_conversation_history(self) -> tuple[Message, ...]:
        """The last entries, beginning with a user entry."""

    @actormethod("ClearHistory")
    async def clear_history(self) -> None:
        """Hides the history and cancel the queued turns."""

    @actormethod("AdoptTurn")
    async def adopt_turn(self, request: AdoptTurn) -> TurnState:
        """Commits, once, a turn that ended elsewhere."""

    @actormethod("AddSchedule")
    async def add_schedule(self, request: Schedule) -> Schedule:
        """Stores a schedule, once; returns it as it is now."""

    @actormethod("RemoveSchedule")
    async def remove_schedule(self, request: RemoveSchedule) -> None:
        """Ends a schedule, if there is one of that id."""

    @actormethod("SumUp")
    async def sum_up(self, request: ConversationSummary) -> None:
        """Stores a summary of the turns before the model's window."""

    @actormethod("Forget")
    async def forget(self, request: ForgetConversation) -> HighWaterMark:
        """Clears the conversation of a user who is being erased; returns its last turn."""

    @actormethod("Settle")
    async def settle(self, upto: HighWaterMark) -> bool:
        """Does the recovery reminder's work now; True once all turns up to this one are erased."""


class ResponseAgentInterface(ActorInterface):
    """Runs the model for a conversation, and waits for it at most the parking time."""

    @actormethod("ProcessMessage")
    async def process_message(self, request: ResponseRequest) -> ResponseState:
        """Starts the model call of a turn; returns the state of one that is known already."""

    @actormethod("FollowUp")
    async def follow_up(self, request: FollowUp) -> FollowUpQuestion:
        """Asks the conversation a follow-up question, while its turn waits for this call."""

    @actormethod("GetMessageCount")
    async def get_message_count(self) -> int:
        """The number of committed turns of the conversation."""


class ConsumerInterface(ActorInterface):
    """A consumer of events, of which each user has one.

    The interfaces below name `ActorInterface` once more: the SDK reads only classes that do.
    """

    @actormethod("GetMark")
    async def get_mark(self, request: MarkRequest) -> int:
        """The number of the last event of a conversation that was applied."""

    @actormethod("Forget")
    async def forget(self, request: ForgetUser) -> None:
        """Erases everything about the user except the marks, which move up."""


class ForgetfulInterface(ConsumerInterface, ActorInterface):
    """A consumer that can forget a single conversation."""

    @actormethod("ForgetConversation")
    async def forget_conversation(self, passed: HighWaterMark) -> None:
        """Erases what a conversation had up to a turn, since it was cleared."""


class MemoryAgentInterface(ForgetfulInterface, ActorInterface):
    """The last messages and the profile of a user, over all conversations; fed by events."""

    @actormethod("UpdateMemory")
    async def update_memory(self, event: TurnEvent) -> EventResult:
        """Applies one event, once and in order."""

    @actormethod("GetMemory")
    async def get_memory(self) -> tuple[Message, ...]:
        """The entries, newest last."""

    @actormethod("Recall")
    async def recall(self) -> MemorySnapshot:
        """The user's entries and profile."""

    @actormethod("Initialize")
    async def initialize(self, person: Person) -> None:
        """Sets the user's profile; a summary that is being made will be ignored."""

    @actormethod("KeepSummary")
    async def keep_summary(self, request: UserSummary) -> None:
        """Stores a summary of the user."""


class UserSessionInterface(ForgetfulInterface, ActorInterface):
    """The last exchanges, the preferences and the sessions of a user; fed by events."""

    @actormethod("AddExchanges")
    async def add_exchanges(self, events: tuple[TurnEvent, ...]) -> tuple[str, ...]:
        """Applies events, each once and in order; returns the ids of those that were too early."""

    @actormethod("GetConversationHistory")
    async def get_conversation_history(self) -> tuple[SessionExchange, ...]:
        """The last exchanges, newest last."""

    @actormethod("ClearHistory")
    async def clear_history(self) -> None:
        """Drops the last exchanges."""

    @actormethod("SetPreferences")
    async def set_preferences(self, values: dict[str, str]) -> None:
        """Replaces the user's preferences."""

    @actormethod("OpenSession")
    async def open_session(self, request: OpenSession) -> None:
        """Adds a session to the user's list, once; called before its first turn."""

    @actormethod("CloseSessions")
    async def close_sessions(self) -> None:
        """Closes the list for a user who is being erased; later sessions go on a new one."""

    @actormethod("ClosedSessions")
    async def closed_sessions(self) -> Sessions:
        """The first page of a closed list; without `next`, the last one."""

    @actormethod("DropSessions")
    async def drop_sessions(self, page: Sessions) -> None:
        """Drops this page if it is the first of a closed list: its conversations are erased."""


class AnalyticsInterface(ConsumerInterface, ActorInterface):
    """Counts a user's answered messages and their tokens; fed by events."""

    @actormethod("CountTurns")
    async def count_turns(self, events: tuple[TurnEvent, ...]) -> tuple[str, ...]:
        """Applies events, each once and in order; returns the ids of those that were too early."""

    @actormethod("GetMessageCount")
    async def get_message_count(self) -> int:
        """The number of answered messages."""

    @actormethod("Initialize")
    async def initialize(self, message_count: int) -> None:
        """Sets the number of messages."""


class NotificationInterface(ConsumerInterface, ActorInterface):
    """Notifies a user of turns, of each at most once; fed by events."""

    @actormethod("Notify")
    async def notify(self, request: Notify) -> tuple[str, ...]:
        """Notifies the user of turns, each once and in order; returns the ids of early events."""

    @actormethod("Report")
    async def report(self, request: NotificationReport) -> None:
        """Stores the result of sending a notification."""


class DeadLetterInterface(ActorInterface):
    """The events that could not be applied, bounded in number and age."""

    @actormethod("Keep")
    async def keep(self, request: KeepDeadLetter) -> str:
        """Stores an event, once; returns the letter's id."""

    @actormethod("Forget")
    async def forget(self, request: ForgetDeadLetter) -> None:
        """Removes a letter, if it is there."""
